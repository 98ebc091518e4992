package tenure

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	requestTimeout = 30 * time.Second
	answerLenMax   = 4 * 1024 * 1024
	batchType      = "application/cloudevents-batch+json"
)

// newClient refuses redirects: a credential goes where it was meant to. A local client never goes
// through a proxy.
func newClient(local bool) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if local {
		transport.Proxy = nil
	}
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: transport, Timeout: requestTimeout, CheckRedirect: noRedirect}
}

// call sends one request, GET or POST where there is a body, and reads one bounded answer.
func call(client *http.Client, url, bearer, contentType string, body, answer interface{}) error {
	method, reader := http.MethodGet, io.Reader(nil)
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		method, reader = http.MethodPost, bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, url, reader)
	if err != nil {
		return &TransportError{Message: err.Error()}
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", contentType)
	}
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	response, err := client.Do(request)
	if err != nil {
		return &TransportError{Message: err.Error()}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, answerLenMax+1))
	if err != nil || len(text) > answerLenMax {
		return &TransportError{Message: url + ": the answer cannot be read"}
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		var problem struct{ Detail string }
		if json.Unmarshal(text, &problem) != nil || problem.Detail == "" {
			problem.Detail = http.StatusText(response.StatusCode)
		}
		message := fmt.Sprintf("%s (HTTP %d)", problem.Detail, response.StatusCode)
		return &TransportError{Status: response.StatusCode, Message: message}
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return &TransportError{Message: url + ": the answer cannot be read"}
	}
	return nil
}
