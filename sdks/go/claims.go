package tenure

import (
	"errors"
	"fmt"
	"math"
)

// What licenses, leases and revocation lists say. A reader ignores members that it does not know, so
// a newer vendor can add some. The words of the enumerations are closed.

const withdrawnMax = 8_000

// License is everything that is granted, to whom, and until when. Only VerifyLicense makes one.
type License struct {
	ID                string
	Revision          uint64
	TokenID           string
	Product           string
	Subscription      string
	Customer          Customer
	Edition           string // standard, enterprise or government
	Model             string // managed, byoi, self_hosted or air_gapped
	Mode              *string
	Tier              string
	Seats             *int64 // nil: unlimited
	Features          []string
	Limits            map[string]Limit
	Values            map[string]interface{}
	SupportSLAHours   *int64
	CustomFields      map[string]interface{}
	Issued            int64
	Starts            int64
	Expires           int64
	UpdateUntil       *int64
	OfflineGraceDays  int64
	PhoneHomeRequired bool
	ExpiryPolicy      ExpiryPolicy
	Binding           *Binding
	Enforcement       Enforcement
	SalesContact      *string

	features map[string]bool
}

// HasFeature says whether the feature is granted; the state is not looked at.
func (l *License) HasFeature(feature string) bool { return l.features[feature] }

// Customer is the organisation that holds a license.
type Customer struct{ ID, Name, Domain string }

// Limit is one limit, exactly. Per is empty for what is held.
type Limit struct {
	Max    *Quantity // nil: unlimited
	Per    string    // day, month or year
	Over   string    // block, warn, charge or true_up
	Unit   *string
	WarnAt []int64
}

// ExpiryPolicy is what happens around the end, in seconds.
type ExpiryPolicy struct{ WarnBefore, FullUntil, RestrictedUntil int64 }

// Binding is the one instance that may use a license.
type Binding struct{ Instance, Key string }

// Enforcement is what each state does, and the status of a missing feature by its id.
type Enforcement struct {
	Expiring, Grace, Restricted, Terminated string
	Missing                                 map[string]int
}

// Lease says that this instance was in contact with the vendor; it grants nothing by itself.
type Lease struct {
	License, Instance, Key string
	Issued, Expires        int64
}

// Renews says whether the lease is that license's, and that instance's where it is bound to one.
func (l *Lease) Renews(license *License) bool {
	bound := license.Binding
	same := bound == nil || (bound.Instance == l.Instance && bound.Key == l.Key)
	return l.License == license.ID && same
}

// Revocations is what was taken back; the list with the higher Epoch governs.
type Revocations struct {
	Epoch     uint64
	Issued    int64
	Withdrawn []Withdrawn
}

// Withdrawn is a license, or its revisions lower than Below, taken back.
type Withdrawn struct {
	License string
	Below   *uint64
	At      int64
}

// Revocation is what is known about a license being taken back: Reason is revoked or superseded.
type Revocation struct {
	Reason string
	At     int64
}

// Of is what the list says of a license; the graver of both, or nil.
func (r *Revocations) Of(license *License) *Revocation {
	var revoked, replaced *Revocation
	for _, entry := range r.Withdrawn {
		switch {
		case entry.License != license.ID:
		case entry.Below == nil:
			revoked = earlier(revoked, Revocation{"revoked", entry.At})
		case license.Revision < *entry.Below:
			replaced = earlier(replaced, Revocation{"superseded", entry.At})
		}
	}
	if revoked != nil {
		return revoked
	}
	return replaced
}

func earlier(known *Revocation, found Revocation) *Revocation {
	if known != nil && known.At <= found.At {
		return known
	}
	return &found
}

func readLicense(from fields) (*License, func() error) {
	grant := from.inside("entitlements")
	license := &License{
		ID:                from.id("license", "lic"),
		Revision:          from.u64("revision"),
		TokenID:           from.text("jti"),
		Product:           from.text("product"),
		Subscription:      from.id("subscription", "sub"),
		Customer:          readCustomer(from.inside("customer")),
		Edition:           from.word("edition", "standard", "enterprise", "government"),
		Model:             from.word("model", "managed", "byoi", "self_hosted", "air_gapped"),
		Mode:              from.maybeText("mode"),
		Tier:              grant.text("tier"),
		Seats:             from.cap("seats"),
		Features:          from.texts("features"),
		Limits:            readLimits(from),
		Values:            readObjectOr(from, "values"),
		CustomFields:      readObjectOr(grant, "custom_fields"),
		Issued:            from.moment("iat"),
		Expires:           from.moment("exp"),
		UpdateUntil:       from.maybeMoment("update_until"),
		OfflineGraceDays:  from.u32("offlineGracePeriod"),
		PhoneHomeRequired: from.flag("phoneHomeRequired"),
		ExpiryPolicy:      readPolicy(from.inside("expiry_policy")),
		Enforcement:       readEnforcement(from),
		SalesContact:      from.maybeText("sales_contact"),
		features:          map[string]bool{},
	}
	license.Starts = license.Issued
	if starts := from.maybeMoment("nbf"); starts != nil {
		license.Starts = *starts
	}
	if grant.has("support_sla_hours") {
		hours := grant.u32("support_sla_hours")
		license.SupportSLAHours = &hours
	}
	if from.has("binding") {
		bound := from.inside("binding")
		license.Binding = &Binding{bound.id("instance", "ins"), bound.text("key")}
	}
	for _, feature := range license.Features {
		license.features[feature] = true
	}
	beside := beside{
		subject: from.text("sub"),
		granted: grant.texts("features"),
		caps:    readCaps(grant),
		receipt: from.maybeText("receipt"),
	}
	if from.has("supersedes") {
		older := from.inside("supersedes")
		older.moment("at")
		revision := older.u64("revision")
		beside.supersedes = &revision
	}
	return license, func() error { return checkLicense(license, beside) }
}

func readCaps(grant fields) map[string]*int64 {
	caps := map[string]*int64{}
	for name := range grant.source {
		if len(name) >= 4 && name[:4] == "max_" {
			caps[name] = grant.cap(name)
		}
	}
	return caps
}

func readCustomer(from fields) Customer {
	customer := Customer{ID: from.text("id"), Name: from.text("name")}
	if from.given("domain") {
		customer.Domain = from.text("domain")
	}
	return customer
}

func readLimits(from fields) map[string]Limit {
	limits := map[string]Limit{}
	if !from.given("limits") {
		return limits
	}
	all := from.inside("limits")
	for id, value := range all.source {
		limits[id] = readLimit(all.object(id, value))
	}
	return limits
}

func readLimit(from fields) Limit {
	limit := Limit{
		Over:   from.word("over", "block", "warn", "charge", "true_up"),
		Unit:   from.maybeText("unit"),
		WarnAt: []int64{},
	}
	if max := from.maybeText("max"); max != nil {
		quantity, err := ParseQuantity(*max)
		if err != nil {
			from.fail("%v", err)
		}
		limit.Max = &quantity
	}
	if from.has("per") {
		limit.Per = from.word("per", "day", "month", "year")
	}
	if from.given("warn_at") {
		for _, item := range from.list("warn_at") {
			limit.WarnAt = append(limit.WarnAt, from.integerOf("warn_at", item, 0, math.MaxUint32))
		}
	}
	return limit
}

func readPolicy(from fields) ExpiryPolicy {
	return ExpiryPolicy{
		WarnBefore:      from.u32("warn_before_seconds"),
		FullUntil:       from.u32("full_until_seconds"),
		RestrictedUntil: from.u32("restricted_until_seconds"),
	}
}

func readEnforcement(from fields) Enforcement {
	table := Enforcement{"banner", "banner", "block_new", "block", map[string]int{}}
	if !from.has("enforcement") {
		return table
	}
	source := from.inside("enforcement")
	for name, action := range map[string]*string{
		"expiring": &table.Expiring, "grace": &table.Grace,
		"restricted": &table.Restricted, "terminated": &table.Terminated,
	} {
		if source.given(name) {
			*action = source.word(name, actions...)
		}
	}
	if source.given("missing") {
		missing := source.inside("missing")
		for feature := range missing.source {
			table.Missing[feature] = int(missing.integer(feature, 0, math.MaxUint16))
		}
	}
	return table
}

func readObjectOr(from fields, name string) map[string]interface{} {
	if !from.given(name) {
		return map[string]interface{}{}
	}
	object, _ := plain(from.inside(name).source).(members)
	return object
}

func readLease(from fields) (*Lease, func() error) {
	lease := &Lease{
		License:  from.id("license", "lic"),
		Instance: from.id("instance", "ins"),
		Key:      from.text("key"),
		Issued:   from.moment("iat"),
		Expires:  from.moment("exp"),
	}
	names := []string{from.text("sub"), from.text("jti"), lease.Key}
	from.u64("revision")
	from.u64("epoch")
	from.u32("heartbeat_seconds")
	return lease, func() error {
		if lease.Expires <= lease.Issued {
			return errors.New("the lease ends before it begins")
		}
		for _, name := range names {
			if name == "" || len(name) > nameLenMax {
				return fmt.Errorf("sub, jti and key have 1 to %d bytes", nameLenMax)
			}
		}
		return nil
	}
}

func readRevocations(from fields) (*Revocations, func() error) {
	list := &Revocations{Epoch: from.u64("epoch"), Issued: from.moment("iat")}
	for _, item := range from.list("withdrawn") {
		source := from.object("withdrawn", item)
		entry := Withdrawn{License: source.id("license", "lic"), At: source.moment("at")}
		if source.has("below") {
			below := source.u64("below")
			entry.Below = &below
		}
		list.Withdrawn = append(list.Withdrawn, entry)
	}
	return list, func() error {
		if len(list.Withdrawn) > withdrawnMax {
			return fmt.Errorf("a list has at most %d entries", withdrawnMax)
		}
		return nil
	}
}
