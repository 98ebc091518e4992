package tenure

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// The golden vectors that every language's SDK must agree with.

type vectorCase struct {
	Name, Token, Text, Error, License, Revocations string
	Times                                          int
	Reads                                          interface{}
	Epoch                                          uint64
	Iat, Exp                                       int64
	Of                                             map[string]string
	Renews                                         []string
	Now, Floor                                     string
	LeaseUntil                                     string `json:"lease_until"`
	HeldSince                                      string `json:"held_since"`
	Verdict                                        interface{}
	Ask                                            map[string]string
	Decision                                       interface{}
	Test                                           bool
	JWKS                                           string
	Kids                                           []string
	Exposed, Hint, Key                             string
}

func (c vectorCase) text() string {
	text := c.Token + c.Text
	if c.Times > 0 {
		return strings.Repeat(text, c.Times)
	}
	return text
}

type vectorFile struct {
	Version                                                          int
	Product                                                          string
	JWKS                                                             json.RawMessage
	Licenses, Refused, Leases, Verdicts, Decisions, Files, Presented []vectorCase
	RevocationLists                                                  []vectorCase                          `json:"revocation_lists"`
	KeySets                                                          []vectorCase                          `json:"key_sets"`
	LicenseKeys                                                      struct{ Valid, Refused []vectorCase } `json:"license_keys"`
}

func vectors(t *testing.T) (vectorFile, *TrustSet, map[string]*License) {
	t.Helper()
	data, err := os.ReadFile("../../crates/license/vectors/license.json")
	if err != nil {
		t.Fatal(err)
	}
	var all vectorFile
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	trust, err := ReadTestKeys(all.Product, string(all.JWKS))
	if err != nil {
		t.Fatal(err)
	}
	licenses := map[string]*License{}
	for _, c := range all.Licenses {
		if licenses[c.Name], err = VerifyLicense(c.Token, trust); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
	}
	return all, trust, licenses
}

// same compares with what JSON can say.
func same(t *testing.T, name string, found, want interface{}) {
	t.Helper()
	text, err := json.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	var plain interface{}
	if err := json.Unmarshal(text, &plain); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(plain, want) {
		t.Errorf("%s:\nfound %v\nwant  %v", name, plain, want)
	}
}

func refusedAs(t *testing.T, c vectorCase, err error) {
	t.Helper()
	if Code(err) != c.Error {
		t.Errorf("%s%s: found %q (%v), want %q", c.Name, c.Text, Code(err), err, c.Error)
	}
}

func seconds(t *testing.T, text string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.Unix()
}

func moment(at int64) string { return time.Unix(at, 0).UTC().Format(time.RFC3339) }

func TestTheFormatIsTheOneThatThisTestKnows(t *testing.T) {
	if all, _, _ := vectors(t); all.Version != 2 {
		t.Errorf("version %d", all.Version)
	}
}

func reads(l *License) map[string]interface{} {
	limits := map[string]interface{}{}
	for id, limit := range l.Limits {
		var max, per interface{}
		if limit.Max != nil {
			max = limit.Max.String()
		}
		if limit.Per != "" {
			per = limit.Per
		}
		limits[id] = map[string]interface{}{"max": max, "per": per, "over": limit.Over, "unit": limit.Unit, "warn_at": limit.WarnAt}
	}
	table := l.Enforcement
	return map[string]interface{}{
		"license": l.ID, "revision": l.Revision, "product": l.Product,
		"customer": map[string]string{"id": l.Customer.ID, "name": l.Customer.Name, "domain": l.Customer.Domain},
		"edition":  l.Edition, "model": l.Model, "mode": l.Mode, "tier": l.Tier, "seats": l.Seats,
		"features": l.Features, "limits": limits, "values": l.Values, "starts": l.Starts, "expires": l.Expires,
		"update_until": l.UpdateUntil, "offline_grace_days": l.OfflineGraceDays,
		"phone_home_required": l.PhoneHomeRequired,
		"enforcement": map[string]interface{}{
			"expiring": table.Expiring, "grace": table.Grace, "restricted": table.Restricted,
			"terminated": table.Terminated, "missing": table.Missing,
		},
		"sales_contact": l.SalesContact,
	}
}

func TestEveryGenuineLicenseIsReadAlike(t *testing.T) {
	all, _, licenses := vectors(t)
	for _, c := range all.Licenses {
		same(t, c.Name, reads(licenses[c.Name]), c.Reads)
	}
}

func TestEveryAttackIsRefusedForItsReason(t *testing.T) {
	all, trust, _ := vectors(t)
	for _, c := range all.Refused {
		_, err := VerifyLicense(c.text(), trust)
		refusedAs(t, c, err)
	}
}

func TestRevocationLists(t *testing.T) {
	all, trust, licenses := vectors(t)
	for _, c := range all.RevocationLists {
		list, err := VerifyRevocations(c.Token, trust)
		refusedAs(t, c, err)
		if err != nil {
			continue
		}
		var of map[string]string
		if found := list.Of(licenses["standard"]); found != nil {
			of = map[string]string{found.Reason: moment(found.At)}
		}
		if list.Epoch != c.Epoch || list.Issued != c.Iat || !reflect.DeepEqual(of, c.Of) {
			t.Errorf("%s: %v %v", c.Name, list, of)
		}
	}
}

func TestLeases(t *testing.T) {
	all, trust, licenses := vectors(t)
	for _, c := range all.Leases {
		lease, err := VerifyLease(c.Token, trust)
		refusedAs(t, c, err)
		if err != nil {
			continue
		}
		renews := []string{}
		for _, name := range []string{"standard", "bound"} {
			if lease.Renews(licenses[name]) {
				renews = append(renews, name)
			}
		}
		if lease.Issued != c.Iat || lease.Expires != c.Exp || !reflect.DeepEqual(renews, c.Renews) {
			t.Errorf("%s: %v %v", c.Name, lease, renews)
		}
	}
}

func TestVerdicts(t *testing.T) {
	all, trust, licenses := vectors(t)
	for _, c := range all.Verdicts {
		license, facts := licenses[c.License], Facts{}
		if c.Floor != "" {
			facts.Floor = seconds(t, c.Floor)
		}
		if contact := c.LeaseUntil + c.HeldSince; contact != "" {
			until := seconds(t, contact)
			facts.ContactUntil = &until
		}
		for _, other := range all.RevocationLists {
			if other.Name == c.Revocations {
				list, err := VerifyRevocations(other.Token, trust)
				if err != nil {
					t.Fatal(err)
				}
				facts.Revocation = list.Of(license)
			}
		}
		v := Evaluate(license, seconds(t, c.Now), facts)
		found := map[string]interface{}{
			"state": v.State.String(), "reason": v.Reason, "until": nil, "notice": nil,
			"as_of": moment(v.AsOf), "clock_suspect": v.ClockSuspect,
		}
		if v.Until != nil {
			found["until"] = moment(*v.Until)
		}
		if v.Notice != "" {
			found["notice"] = v.Notice
		}
		same(t, c.Name, found, c.Verdict)
	}
}

func TestDecisions(t *testing.T) {
	all, _, licenses := vectors(t)
	for _, c := range all.Decisions {
		license := licenses[c.License]
		verdict := Evaluate(license, seconds(t, c.Now), Facts{})
		d := DecideWork(license, verdict, map[string]Work{"new": New, "running": Running}[c.Ask["work"]])
		if feature, asked := c.Ask["feature"]; asked {
			d = DecideFeature(license, verdict, feature)
		}
		if limit, asked := c.Ask["limit"]; asked {
			used, err := ParseQuantity(c.Ask["used"])
			more, err2 := ParseQuantity(c.Ask["more"])
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			d = DecideLimit(license, verdict, limit, used, more)
		}
		found := map[string]interface{}{
			"allowed": d.Allowed, "status": d.Status, "code": d.Code, "message": nil, "banner": d.Banner,
		}
		if d.Message != "" {
			found["message"] = d.Message
		}
		same(t, c.Name, found, c.Decision)
	}
}

func TestKeySets(t *testing.T) {
	all, _, _ := vectors(t)
	for _, c := range all.KeySets {
		read := ReadKeys
		if c.Test {
			read = ReadTestKeys
		}
		set, err := read(all.Product, c.JWKS)
		refusedAs(t, c, err)
		if err == nil && !reflect.DeepEqual(set.Kids(), c.Kids) {
			t.Errorf("%s: %v", c.Name, set.Kids())
		}
	}
}

func TestLicenseKeys(t *testing.T) {
	all, _, _ := vectors(t)
	for _, c := range all.LicenseKeys.Valid {
		key, err := ParseLicenseKey(c.Text)
		if err != nil || key.Expose() != c.Exposed || key.String() != c.Hint {
			t.Errorf("%s: %v %v", c.Text, key, err)
		}
	}
	for _, c := range all.LicenseKeys.Refused {
		_, err := ParseLicenseKey(c.Text)
		refusedAs(t, c, err)
	}
}

func TestFiles(t *testing.T) {
	all, _, _ := vectors(t)
	for _, c := range all.Files {
		token, err := ReadFile(c.text())
		refusedAs(t, c, err)
		if err == nil && token != all.Licenses[0].Token {
			t.Errorf("%s: another token", c.Name)
		}
	}
}

func TestPresentedValues(t *testing.T) {
	all, _, _ := vectors(t)
	for _, c := range all.Presented {
		token, key, err := ReadPresented(c.Text)
		refusedAs(t, c, err)
		found := token
		if key != nil {
			found = key.Expose()
		}
		if err == nil && found != c.Token+c.Key {
			t.Errorf("%s: %s", c.Name, found)
		}
	}
}
