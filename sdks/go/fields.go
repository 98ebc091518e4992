package tenure

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
)

const (
	nameLenMax = 256
	countMax   = 1<<53 - 1
	// What a timestamp can say, in seconds: the years -9999 to 9999.
	timeMin = -377_705_023_201
	timeMax = 253_402_207_200
)

// fields reads typed members out of verified JSON. The first thing that is wrong stays in err, so
// that a reader is written without a check after each member.
type fields struct {
	source members
	err    *error
}

func newFields(source members) fields {
	return fields{source: source, err: new(error)}
}

func (f fields) fail(format string, arguments ...interface{}) {
	if *f.err == nil {
		*f.err = fmt.Errorf(format, arguments...)
	}
}

// has says whether an optional member is there; null is like leaving it out.
func (f fields) has(name string) bool {
	value, given := f.source[name]
	return given && value != nil
}

// given says whether a member is there, null included.
func (f fields) given(name string) bool {
	_, given := f.source[name]
	return given
}

func (f fields) text(name string) string {
	text, ok := f.source[name].(string)
	if !ok {
		f.fail("%s is no text", name)
	}
	return text
}

func (f fields) maybeText(name string) *string {
	if !f.has(name) {
		return nil
	}
	text := f.text(name)
	return &text
}

func (f fields) flag(name string) bool {
	flag, ok := f.source[name].(bool)
	if !ok {
		f.fail("%s is neither true nor false", name)
	}
	return flag
}

func (f fields) integer(name string, lowest, highest int64) int64 {
	return f.integerOf(name, f.source[name], lowest, highest)
}

func (f fields) integerOf(name string, value interface{}, lowest, highest int64) int64 {
	number, _ := value.(json.Number)
	integer, err := strconv.ParseInt(number.String(), 10, 64)
	if err != nil || integer < lowest || integer > highest {
		f.fail("%s is no integer from %d to %d", name, lowest, highest)
		return lowest
	}
	return integer
}

func (f fields) u64(name string) uint64 {
	number, _ := f.source[name].(json.Number)
	integer, err := strconv.ParseUint(number.String(), 10, 64)
	if err != nil {
		f.fail("%s is no count", name)
	}
	return integer
}

func (f fields) u32(name string) int64    { return f.integer(name, 0, math.MaxUint32) }
func (f fields) moment(name string) int64 { return f.integer(name, timeMin, timeMax) }

func (f fields) maybeMoment(name string) *int64 {
	if !f.has(name) {
		return nil
	}
	moment := f.moment(name)
	return &moment
}

// cap reads a count, or -1 for unlimited (nil).
func (f fields) cap(name string) *int64 {
	count := f.integer(name, -1, countMax)
	if count == -1 {
		return nil
	}
	return &count
}

func (f fields) word(name string, words ...string) string {
	found := f.text(name)
	for _, word := range words {
		if found == word {
			return word
		}
	}
	f.fail("%s is none of %v", name, words)
	return found
}

var hexDigits = regexp.MustCompile(`\A[0-9a-f]{32}\z`)

func (f fields) id(name, prefix string) string {
	id := f.text(name)
	rest := len(prefix) + 1
	if len(id) <= rest || id[:rest] != prefix+"_" || !hexDigits.MatchString(id[rest:]) {
		f.fail("%s is no id that begins with %s_", name, prefix)
	}
	return id
}

func (f fields) list(name string) []interface{} {
	list, ok := f.source[name].([]interface{})
	if !ok {
		f.fail("%s is no list", name)
	}
	return list
}

func (f fields) texts(name string) []string {
	texts := []string{}
	for _, item := range f.list(name) {
		text, ok := item.(string)
		if !ok {
			f.fail("%s has something that is no text", name)
		}
		texts = append(texts, text)
	}
	return texts
}

// inside is a member that is an object; what is wrong in it is wrong in the whole.
func (f fields) inside(name string) fields { return f.object(name, f.source[name]) }

func (f fields) object(name string, value interface{}) fields {
	source, ok := value.(members)
	if !ok {
		f.fail("%s is no object", name)
	}
	return fields{source: source, err: f.err}
}

// plain is verified JSON for people who use it: integers, floats, texts, lists and maps.
func plain(value interface{}) interface{} {
	switch value := value.(type) {
	case json.Number:
		if integer, err := value.Int64(); err == nil {
			return integer
		}
		float, _ := value.Float64()
		return float
	case []interface{}:
		list := make([]interface{}, len(value))
		for at, item := range value {
			list[at] = plain(item)
		}
		return list
	case members:
		object := members{}
		for name, item := range value {
			object[name] = plain(item)
		}
		return object
	}
	return value
}
