package tenure

import (
	"errors"
	"fmt"
)

// Error says why something is refused. Code is stable and for programs; Message is for people.
type Error struct {
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Message }

func refuse(code, format string, arguments ...interface{}) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, arguments...)}
}

// Code is the stable code of an error of this package; empty for any other error.
func Code(err error) string {
	var refused *Error
	if errors.As(err, &refused) {
		return refused.Code
	}
	var transport *TransportError
	if errors.As(err, &transport) {
		if transport.Status == 0 {
			return "unreachable"
		}
		return "refused"
	}
	return ""
}

// TransportError says that agent or server gave no answer, or refused. Status is 0 when nobody
// answered.
type TransportError struct {
	Status  int
	Message string
}

func (e *TransportError) Error() string { return e.Message }

// WorthRetrying says whether the very same request may succeed later.
func (e *TransportError) WorthRetrying() bool {
	switch e.Status {
	case 0, 401, 403, 408, 429:
		return true
	}
	return e.Status >= 500
}

// shown cuts foreign text for a message.
func shown(text string) string {
	const runesMax = 80
	if runes := []rune(text); len(runes) > runesMax {
		return string(runes[:runesMax])
	}
	return text
}
