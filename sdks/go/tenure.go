package tenure

import (
	"errors"
	"sync"
	"time"
)

const (
	tick        = 5 * time.Second
	saveSeconds = 60 * 60
)

// Tenure is the license of a running product. Questions are answered from memory; the network is
// asked in the background. Safe for use by several goroutines.
type Tenure struct {
	trust     *TrustSet
	source    Source
	usage     *recorder
	stateFile string
	clock     func() int64
	log       func(string)
	stop      chan struct{}
	ended     chan struct{}
	closing   sync.Once

	mutex       sync.Mutex
	token       string
	license     *License
	revocations *Revocations
	takenBack   *Revocation
	contact     *int64
	verdict     Verdict
	floor       int64
	saved       int64
}

// License is what was granted, to whom, and until when. Verified; not to be changed.
func (t *Tenure) License() *License {
	license, _ := t.judged()
	return license
}

// Verdict is the state with its reason; judged anew when it changes, or when the clock went back.
func (t *Tenure) Verdict() Verdict {
	_, verdict := t.judged()
	return verdict
}

// State is how much works.
func (t *Tenure) State() State { return t.Verdict().State }

// Notice is what to tell people now; empty when there is nothing to say.
func (t *Tenure) Notice() string { return t.Verdict().Notice }

// Feature says whether a feature may be used now.
func (t *Tenure) Feature(id string) Decision {
	license, verdict := t.judged()
	return DecideFeature(license, verdict, id)
}

// Limit says whether more fits on top of used.
func (t *Tenure) Limit(id string, used, more Quantity) Decision {
	license, verdict := t.judged()
	return DecideLimit(license, verdict, id, used, more)
}

// Work says whether work of a kind may go on now.
func (t *Tenure) Work(work Work) Decision {
	license, verdict := t.judged()
	return DecideWork(license, verdict, work)
}

// Record records usage in the background; the event's id, or "" when it was not taken (nowhere to
// send it, or the queue is full). It never waits.
func (t *Tenure) Record(kind string, data interface{}) string {
	if t.usage == nil {
		return ""
	}
	return t.usage.record(kind, data)
}

// Consume uses a part of a quota and records it, both or neither: the agent beside decides and
// writes the event down in one step. quantity is what the quota's meter counts of the event. id
// names what is counted, so that asking again after a lost answer counts once; empty for a new one.
// It waits for the agent's answer.
func (t *Tenure) Consume(quota string, quantity Quantity, id, kind string, data interface{}) (Decision, error) {
	agent, found := t.source.(*Agent)
	if !found || t.usage == nil {
		return Decision{}, refuse("agent_missing", "quotas are used through an agent")
	}
	return agent.consume(quota, quantity.String(), t.usage.event(id, kind, data))
}

// Usage is how many events wait to be sent, and how many were not taken since the start.
func (t *Tenure) Usage() (waiting, refused int) {
	if t.usage == nil {
		return 0, 0
	}
	return t.usage.standing()
}

// Refresh asks agent or server now; what is held stays when that fails.
func (t *Tenure) Refresh() error {
	if t.source == nil {
		return nil
	}
	t.mutex.Lock()
	token, revision := t.token, t.license.Revision
	t.mutex.Unlock()
	grant, err := t.source.fetch(token, revision)
	if err != nil {
		return err
	}
	return t.apply(grant)
}

// Flush sends the usage that waits.
func (t *Tenure) Flush() error {
	if t.usage == nil {
		return nil
	}
	return t.usage.flush(false)
}

// Close sends what waits, once, and ends what runs in the background.
func (t *Tenure) Close() error {
	t.closing.Do(func() { close(t.stop) })
	<-t.ended
	err := t.Flush()
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.save(t.clock())
	return err
}

func (t *Tenure) start(token string) error {
	state := readState(t.stateFile)
	t.floor = state.Floor
	grant, err := Grant{License: token}, error(nil)
	if token == "" {
		grant, err = t.first(state.License)
	}
	if err == nil {
		err = t.apply(grant)
	}
	if err != nil || t.source == nil {
		close(t.ended)
		return err
	}
	go t.run()
	return nil
}

// first is the first grant; the license kept from before when nobody can be reached.
func (t *Tenure) first(keptLicense string) (Grant, error) {
	grant, err := t.source.fetch("", 0)
	var transport *TransportError
	if errors.As(err, &transport) && keptLicense != "" {
		return Grant{License: keptLicense}, nil
	}
	return grant, err
}

// apply believes what is signed, and takes over all of it or nothing.
func (t *Tenure) apply(grant Grant) error {
	if grant.License == "" {
		return missing()
	}
	license, err := VerifyLicense(grant.License, t.trust)
	if err != nil {
		return err
	}
	var lease *Lease
	if grant.Lease != "" {
		if lease, err = VerifyLease(grant.Lease, t.trust); err != nil {
			return err
		}
	}
	var list *Revocations
	if grant.Revocations != "" {
		if list, err = VerifyRevocations(grant.Revocations, t.trust); err != nil {
			return err
		}
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if held := t.license; held != nil && held.ID == license.ID && held.Revision > license.Revision {
		return refuse("license_older", "a newer revision of this license is held")
	}
	t.token, t.license, t.takenBack = grant.License, license, grant.TakenBack
	t.proven(license.Issued)
	t.proven(grant.Floor)
	if list != nil {
		t.proven(list.Issued)
		if t.revocations == nil || list.Epoch >= t.revocations.Epoch {
			t.revocations = list
		}
	}
	t.follow(lease, grant.HeldSince)
	now := t.clock()
	t.judge(now)
	t.save(now)
	return nil
}

// follow keeps the end of the latest lease of this license.
func (t *Tenure) follow(lease *Lease, heldSince *int64) {
	if lease != nil && lease.Renews(t.license) {
		t.proven(lease.Issued)
		if t.contact == nil || lease.Expires > *t.contact {
			t.contact = &lease.Expires
		}
		return
	}
	if t.contact == nil && t.source != nil && t.source.followsContact() {
		t.contact = heldSince
	}
}

func (t *Tenure) proven(moment int64) {
	if moment > t.floor {
		t.floor = moment
	}
}

func (t *Tenure) judged() (*License, Verdict) {
	now := t.clock()
	t.mutex.Lock()
	defer t.mutex.Unlock()
	over := t.verdict.Until != nil && now >= *t.verdict.Until
	if now < t.floor || over || t.verdict.ClockSuspect {
		t.judge(now)
	}
	t.proven(now)
	if since := now - t.saved; since >= saveSeconds || since <= -saveSeconds {
		t.save(now)
	}
	return t.license, t.verdict
}

func (t *Tenure) judge(now int64) {
	facts := Facts{Floor: t.floor, Revocation: t.takenBack, ContactUntil: t.contact}
	if t.revocations != nil {
		if signed := t.revocations.Of(t.license); signed != nil {
			facts.Revocation = signed
		}
	}
	t.verdict = Evaluate(t.license, now, facts)
	t.proven(now)
}

func (t *Tenure) save(now int64) {
	t.saved = now
	if t.stateFile == "" {
		return
	}
	if err := writeState(t.stateFile, kept{t.floor, t.token}); err != nil {
		t.log("the license state cannot be kept: " + err.Error())
	}
}

func (t *Tenure) run() {
	defer close(t.ended)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	due := time.Now().Add(t.source.refreshEvery())
	for {
		select {
		case <-t.stop:
			return
		case <-ticker.C:
		}
		if t.usage != nil {
			// It waits and is said in the log.
			_ = t.usage.flush(true)
		}
		if time.Now().After(due) {
			due = time.Now().Add(t.source.refreshEvery())
			if err := t.Refresh(); err != nil {
				t.log("the license was not renewed: " + err.Error())
			}
		}
	}
}
