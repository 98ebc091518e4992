package tenure

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// A product over its life: offline, with an agent, with a server.

func begin(t *testing.T, env map[string]string, clock func() int64) (*Tenure, error) {
	t.Helper()
	lookUp := func(name string) string { return env[name] }
	silent := func(string) {}
	return FromEnv(Options{Product: "incidentfox", Keys: testSet, Env: lookUp, Clock: clock, Log: silent})
}

func begun(t *testing.T, env map[string]string, clock func() int64) *Tenure {
	t.Helper()
	product, err := begin(t, env, clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = product.Close() })
	return product
}

func refresh(t *testing.T, product *Tenure) {
	t.Helper()
	if err := product.Refresh(); err != nil {
		t.Fatal(err)
	}
}

func runExample(t *testing.T, env map[string]string) (string, error) {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(keys, []byte(testSet), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", "run", "./examples/product", keys)
	command.Env = os.Environ()
	for name, value := range env {
		command.Env = append(command.Env, name+"="+value)
	}
	said, err := command.CombinedOutput()
	return string(said), err
}

func TestTheExampleRunsOffline(t *testing.T) {
	said, err := runExample(t, map[string]string{"LICENSE_KEY": newLicense(t, nil)})
	lines := strings.Split(said, "\n")
	if err != nil || len(lines) < 4 || lines[0] != "licensed to Acme Corp: active" ||
		!strings.HasPrefix(lines[2], "403 feature_missing ") ||
		lines[3] != "200 limit_near Team limit: 5/5 (80% reached)." {
		t.Errorf("%v: %s", err, said)
	}
}

func TestTheExampleRefusesToStartWithoutAGenuineLicense(t *testing.T) {
	said, err := runExample(t, map[string]string{"LICENSE_KEY": newLicense(t, nil) + "A"})
	if err == nil || !strings.Contains(said, "not licensed (token_") {
		t.Errorf("%v: %s", err, said)
	}
}

func TestTheExampleRunsWithAnAgentAndSendsUsage(t *testing.T) {
	other := newOther(t, "/v1/license", object{"license": newLicense(t, nil)})
	other.answer("/v1/usage", object{})
	if said, err := runExample(t, other.agent(t)); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	last := other.last()
	var events []Event
	if err := json.Unmarshal(last.body, &events); err != nil || len(events) != 1 || events[0].Type != "agent.run" {
		t.Errorf("%v: %s", err, last.body)
	}
	if last.path != "/v1/usage" || last.bearer != "Bearer s3cret" {
		t.Error(last.path, last.bearer)
	}
}

func TestAQuotaIsUsedAndRecordedInOneCall(t *testing.T) {
	const path = "/v1/quota/agent_runs/consume"
	other := newOther(t, "/v1/license", object{"license": newLicense(t, nil)})
	other.answer(path, object{"allowed": true, "status": 200, "code": "ok", "message": nil})
	product := begun(t, other.agent(t), nil)
	used, err := product.Consume("agent_runs", Units(1), "run-17", "agent.run", object{"runs": "1"})
	if err != nil || !used.Allowed || used.Code != "ok" {
		t.Error(used, err)
	}
	var asked struct {
		Quantity string
		Event    Event
	}
	last := other.last()
	if err := json.Unmarshal(last.body, &asked); err != nil || last.path != path ||
		asked.Quantity != "1" || asked.Event.ID != "run-17" || asked.Event.Type != "agent.run" {
		t.Errorf("%v: %s %s", err, last.path, last.body)
	}
	words := "Monthly quota exceeded: 3/3."
	other.answer(path, object{"allowed": false, "status": 402, "code": "quota_exceeded", "message": words})
	half, _ := ParseQuantity("0.5")
	used, err = product.Consume("agent_runs", half, "", "agent.run", nil)
	if err != nil || used.Allowed || used.Status != 402 || used.Message != words {
		t.Error(used, err)
	}
	alone := begun(t, map[string]string{"LICENSE_KEY": newLicense(t, nil)}, nil)
	if _, err := alone.Consume("agent_runs", Units(1), "", "agent.run", nil); Code(err) != "agent_missing" {
		t.Error(err)
	}
}

func TestALicenseMayLieInAFile(t *testing.T) {
	body, rest := "", newLicense(t, nil)
	for len(rest) > 64 {
		body, rest = body+rest[:64]+"\n", rest[64:]
	}
	text := beginLine + "\n" + body + rest + "\n" + endLine + "\n"
	path := filepath.Join(t.TempDir(), "product.lic")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, presented := range []string{text, path} {
		if state := begun(t, map[string]string{"LICENSE_KEY": presented}, nil).State(); state != Active {
			t.Error(state)
		}
	}
}

func TestWithoutALicenseThereIsNoStart(t *testing.T) {
	all, _, _ := vectors(t)
	key := all.LicenseKeys.Valid[0].Text
	agent := newOther(t, "/v1/license", object{"license": "a.b.c", "state": "active"}).agent(t)
	for code, env := range map[string]map[string]string{
		"license_missing":          {},
		"license_key_needs_server": {"LICENSE_KEY": key},
		"token_":                   agent,
	} {
		if _, err := begin(t, env, nil); !strings.HasPrefix(Code(err), code) {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestASignedListEndsALicenseAndAnOlderListDoesNotBringItBack(t *testing.T) {
	other := newOther(t, "/v1/license", object{"license": newLicense(t, nil)})
	product := begun(t, other.agent(t), nil)
	if !product.Work(New).Allowed {
		t.Error("refused")
	}
	revoked := newRevocations(t, 2, object{"license": licenseID, "at": 1})
	for _, list := range []string{revoked, newRevocations(t, 1)} {
		other.answer("/v1/license", object{"license": newLicense(t, nil), "revocations": list})
		refresh(t, product)
		if reason := product.Verdict().Reason; reason != "revoked" {
			t.Error(reason)
		}
	}
	if status := product.Feature("github").Status; status != 402 {
		t.Error(status)
	}
}

func TestAnAgentThatIsGoneChangesNothingAndAnOlderRevisionNeither(t *testing.T) {
	other := newOther(t, "/v1/license", object{"license": newLicense(t, object{"revision": 4})})
	product := begun(t, other.agent(t), nil)
	other.answer("/v1/license", nil)
	if err := product.Refresh(); Code(err) != "refused" {
		t.Error(err)
	}
	other.answer("/v1/license", object{"license": newLicense(t, nil)})
	if err := product.Refresh(); Code(err) != "license_older" {
		t.Error(err)
	}
	if product.State() != Active || product.License().Revision != 4 {
		t.Error(product.State(), product.License().Revision)
	}
}

func TestContactIsFollowedThroughLeasesOfThisLicenseAlone(t *testing.T) {
	now := time.Now().Unix()
	license := newLicense(t, object{"phoneHomeRequired": true, "offlineGracePeriod": 1})
	answer := func(lease string) object { return object{"license": license, "lease": lease} }
	other := newOther(t, "/v1/license", answer(newLease(t, now-2*testDay, licenseID)))
	product := begun(t, other.agent(t), nil)
	found := []string{product.Verdict().Reason}
	for _, id := range []string{"lic_00000000000000000000000000000002", licenseID} {
		other.answer("/v1/license", answer(newLease(t, now+testDay, id)))
		refresh(t, product)
		found = append(found, product.Verdict().Reason)
	}
	if want := []string{"phone_home_overdue", "phone_home_overdue", "valid"}; !reflect.DeepEqual(found, want) {
		t.Error(found)
	}
}

func TestAShortKeyIsExchangedAndTheLicenseOutlivesTheServer(t *testing.T) {
	all, _, _ := vectors(t)
	key := all.LicenseKeys.Valid[1]
	other := newOther(t, "/api/v1/activate", object{"license_token": newLicense(t, nil)})
	env := map[string]string{
		"LICENSE_KEY": key.Text, "TENURE_SERVER": other.URL,
		"TENURE_STATE_FILE": filepath.Join(t.TempDir(), "state.json"),
	}
	product := begun(t, env, nil)
	var sent map[string]string
	if json.Unmarshal(other.last().body, &sent) != nil || sent["license_key"] != key.Exposed {
		t.Error(sent)
	}
	other.answer("/api/v1/validate", object{"valid": false, "reason": "revoked", "revision": 3})
	refresh(t, product)
	if reason := product.Verdict().Reason; reason != "revoked" {
		t.Error(reason)
	}
	other.answer("/api/v1/activate", nil)
	if state := begun(t, env, nil).State(); state != Active {
		t.Error(state)
	}
}

func TestAClockSetBackGainsNothingAlsoAfterARestart(t *testing.T) {
	at := time.Now().Unix()
	clock := func() int64 { return at }
	env := map[string]string{
		"LICENSE_KEY": newLicense(t, nil), "TENURE_STATE_FILE": filepath.Join(t.TempDir(), "state.json"),
	}
	product := begun(t, env, clock)
	at += 700 * testDay
	if product.State() != Terminated {
		t.Error(product.State())
	}
	at -= 700 * testDay
	if verdict := product.Verdict(); verdict.State != Terminated || !verdict.ClockSuspect {
		t.Error(verdict)
	}
	if state := begun(t, env, clock).State(); state != Terminated {
		t.Error(state)
	}
}

func TestUsageKeepsItsIDsUntilItIsTakenAndTheQueueIsBounded(t *testing.T) {
	var sent [][]string
	fail := true
	r := &recorder{source: "/test", log: func(string) {}}
	r.send = func(events []Event) (receipt usageReceipt, err error) {
		ids := []string{}
		for _, event := range events {
			ids = append(ids, event.ID)
		}
		sent = append(sent, ids)
		if fail {
			return receipt, &TransportError{Message: "gone"}
		}
		err = json.Unmarshal([]byte(`{"results":[{"outcome":"rejected"}]}`), &receipt)
		return receipt, err
	}
	ids := []string{r.record("agent.run", nil), r.record("agent.run", nil)}
	if r.flush(false) == nil || r.flush(true) != nil || len(sent) != 1 {
		t.Error("it is too early to try again")
	}
	fail = false
	if err := r.flush(false); err != nil || !reflect.DeepEqual(sent, [][]string{ids, ids}) {
		t.Error(err, sent)
	}
	for n := 0; n < queueMax; n++ {
		r.record("agent.run", n)
	}
	if id := r.record("agent.run", nil); id != "" {
		t.Error(id)
	}
	if waiting, refused := r.standing(); waiting != queueMax || refused != 2 {
		t.Error(waiting, refused)
	}
}
