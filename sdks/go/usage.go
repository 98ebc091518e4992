package tenure

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Recording usage: a bounded queue whose events are sent in batches until they are taken. An event
// gets its id once, when it is recorded. Sending it again is safe: it is counted once.

const (
	queueMax   = 10_000
	batchMax   = 500
	retryFirst = 5 * time.Second
	retryMax   = 300 * time.Second
)

// Event is a CloudEvent 1.0.
type Event struct {
	SpecVersion string      `json:"specversion"`
	ID          string      `json:"id"`
	Source      string      `json:"source"`
	Type        string      `json:"type"`
	Time        string      `json:"time"`
	Data        interface{} `json:"data,omitempty"`
}

type recorder struct {
	send   func([]Event) (usageReceipt, error)
	source string
	log    func(string)

	sending   sync.Mutex // one at a time sends
	wait      time.Duration
	notBefore time.Time

	queued  sync.Mutex
	queue   []Event
	refused int
}

// record queues one event; its id, or "" when the queue is full.
func (r *recorder) record(kind string, data interface{}) string {
	r.queued.Lock()
	defer r.queued.Unlock()
	if len(r.queue) >= queueMax {
		r.refuse(1, "the queue is full")
		return ""
	}
	event := r.event("", kind, data)
	r.queue = append(r.queue, event)
	return event.ID
}

// event is an event of this source, not queued; without an id it is given one.
func (r *recorder) event(id, kind string, data interface{}) Event {
	if id == "" {
		id = newID()
	}
	return Event{"1.0", id, r.source, kind, time.Now().UTC().Format(time.RFC3339Nano), data}
}

func newID() string {
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		// Without randomness there is no cryptography either; the time is unique enough to count by.
		return fmt.Sprintf("t%d", time.Now().UnixNano())
	}
	return hex.EncodeToString(random[:])
}

// flush sends what waits. A patient one waits longer after each failure.
func (r *recorder) flush(patient bool) error {
	r.sending.Lock()
	defer r.sending.Unlock()
	if patient && time.Now().Before(r.notBefore) {
		return nil
	}
	for {
		batch := r.front()
		if len(batch) == 0 {
			return nil
		}
		receipt, err := r.send(batch)
		var transport *TransportError
		if errors.As(err, &transport) && transport.WorthRetrying() {
			r.wait = longer(r.wait)
			r.notBefore = time.Now().Add(r.wait)
			r.log("usage waits: " + err.Error())
			return err
		}
		r.wait, r.notBefore = 0, time.Time{}
		r.done(batch, receipt, err)
	}
}

func longer(wait time.Duration) time.Duration {
	switch wait *= 2; {
	case wait < retryFirst:
		return retryFirst
	case wait > retryMax:
		return retryMax
	}
	return wait
}

// front is a copy: the queue grows while it is sent.
func (r *recorder) front() []Event {
	r.queued.Lock()
	defer r.queued.Unlock()
	count := len(r.queue)
	if count > batchMax {
		count = batchMax
	}
	return append([]Event(nil), r.queue[:count]...)
}

func (r *recorder) done(batch []Event, receipt usageReceipt, err error) {
	r.queued.Lock()
	defer r.queued.Unlock()
	if err != nil {
		r.refuse(len(batch), err.Error())
	}
	for _, result := range receipt.Results {
		if result.Outcome == "rejected" || result.Outcome == "conflict" {
			r.refuse(1, result.ID+": "+result.Reason+" "+result.Detail)
		}
	}
	r.queue = append([]Event(nil), r.queue[len(batch):]...)
}

func (r *recorder) refuse(count int, why string) {
	r.refused += count
	r.log(fmt.Sprintf("usage not taken, %d events: %s", count, why))
}

func (r *recorder) standing() (waiting, refused int) {
	r.queued.Lock()
	defer r.queued.Unlock()
	return len(r.queue), r.refused
}
