package tenure

import (
	"sort"
	"strconv"
	"time"
)

// What a verified license is worth at a moment: verification is apart from enforcement.
//
//        warn_before            full_until          restricted_until
// active ----------> expiring -> exp -> grace ----> restricted -----> terminated

const (
	clockToleranceSeconds = 5 * 60
	daySeconds            = 24 * 60 * 60
)

// State is how much of the product works, from best to worst.
type State int

// The states.
const (
	Active State = iota
	Expiring
	Grace
	Restricted
	Terminated
)

func (s State) String() string {
	return [...]string{"active", "expiring", "grace", "restricted", "terminated"}[s]
}

var stateOf = map[string]State{
	"valid":              Active,
	"expires_soon":       Expiring,
	"expired_full":       Grace,
	"expired_restricted": Restricted,
	"not_yet_valid":      Restricted,
	"phone_home_overdue": Restricted,
	"superseded":         Restricted,
	"expired":            Terminated,
	"revoked":            Terminated,
}

// Verdict is what a license is worth. Until: when the state changes next, if it ever does. Notice:
// what to tell people; empty when there is nothing to say. AsOf: the moment that was judged, later
// than the clock where that was set back.
type Verdict struct {
	State        State
	Reason       string
	Until        *int64
	Notice       string
	AsOf         int64
	ClockSuspect bool
}

// Facts is what is known beside the license. Floor: the latest moment proven to have passed; 0 when
// none is. ContactUntil: the end of the last lease, or since when the license is held without one;
// nil where contact is not followed.
type Facts struct {
	Floor        int64
	Revocation   *Revocation
	ContactUntil *int64
}

// Evaluate says what the license is worth at now. Time never improves a state, except that a license
// whose time had not come becomes valid.
func Evaluate(license *License, now int64, facts Facts) Verdict {
	floor := license.Issued
	if facts.Floor > floor {
		floor = facts.Floor
	}
	verdict := Verdict{AsOf: now, ClockSuspect: now < floor-clockToleranceSeconds}
	// Time stands still at the floor: setting a clock back gains nothing.
	if floor > now {
		verdict.AsOf = floor
	}
	verdict.Reason = reasonAt(license, facts, verdict.AsOf)
	verdict.State = stateOf[verdict.Reason]
	verdict.Until = nextChange(license, facts, verdict.AsOf, verdict.State)
	verdict.Notice = notice(license, verdict, now)
	return verdict
}

// reasonAt is the gravest reason that holds; of two equally grave ones, the one listed first.
func reasonAt(license *License, facts Facts, at int64) string {
	findings := []string{"valid", "valid", "valid", expiry(license, at)}
	if facts.Revocation != nil && facts.Revocation.At <= at {
		findings[0] = facts.Revocation.Reason
	}
	if overdue := contactEnds(license, facts); overdue != nil && *overdue <= at {
		findings[1] = "phone_home_overdue"
	}
	if at < license.Starts-clockToleranceSeconds {
		findings[2] = "not_yet_valid"
	}
	gravest := "valid"
	for _, reason := range findings {
		if stateOf[reason] > stateOf[gravest] {
			gravest = reason
		}
	}
	return gravest
}

func contactEnds(license *License, facts Facts) *int64 {
	if !license.PhoneHomeRequired || facts.ContactUntil == nil {
		return nil
	}
	ends := shift(*facts.ContactUntil, license.OfflineGraceDays*daySeconds)
	return &ends
}

func expiry(license *License, at int64) string {
	edges := edges(license)
	switch {
	case at >= edges[3]:
		return "expired"
	case at >= edges[2]:
		return "expired_restricted"
	case at >= edges[1]:
		return "expired_full"
	case at >= edges[0]:
		return "expires_soon"
	}
	return "valid"
}

func edges(license *License) [4]int64 {
	end, policy := license.Expires, license.ExpiryPolicy
	return [4]int64{
		shift(end, -policy.WarnBefore), end, shift(end, policy.FullUntil), shift(end, policy.RestrictedUntil),
	}
}

func nextChange(license *License, facts Facts, asOf int64, state State) *int64 {
	edges := edges(license)
	all := append(edges[:], license.Starts-clockToleranceSeconds)
	if overdue := contactEnds(license, facts); overdue != nil {
		all = append(all, *overdue)
	}
	if facts.Revocation != nil {
		all = append(all, facts.Revocation.At)
	}
	sort.Slice(all, func(a, b int) bool { return all[a] < all[b] })
	for _, edge := range all {
		if edge > asOf && stateOf[reasonAt(license, facts, edge)] != state {
			edge := edge
			return &edge
		}
	}
	return nil
}

func shift(at, seconds int64) int64 {
	switch moved := at + seconds; {
	case moved < timeMin:
		return timeMin
	case moved > timeMax:
		return timeMax
	default:
		return moved
	}
}

// notice says what is so, the date, what to do.
func notice(license *License, verdict Verdict, now int64) string {
	said := ""
	if verdict.Reason != "valid" {
		said = about(license, verdict)
	}
	if verdict.ClockSuspect {
		if said != "" {
			said += " "
		}
		said += "This machine's clock says " + day(now) + ", which is earlier than a moment known to " +
			"have passed. Set the clock; until then license time stands still."
	}
	return said
}

func about(license *License, verdict Verdict) string {
	name := "The " + license.Product + " license of " + license.Customer.Name
	end, renew, then := day(license.Expires), howToRenew(license), "further notice"
	if verdict.Until != nil {
		then = day(*verdict.Until)
	}
	blocked := "New work is blocked; what runs goes on until " + then + "."
	switch verdict.Reason {
	case "expires_soon":
		return name + " ends on " + end + ". Everything keeps working until then. " + renew
	case "expired_full":
		return name + " ended on " + end + ". Everything keeps working until " + then + ". " + renew
	case "expired_restricted":
		return name + " ended on " + end + ". " + blocked + " " + renew
	case "expired":
		return name + " ended on " + end + " and its grace time is over. " + renew
	case "not_yet_valid":
		return name + " begins on " + day(license.Starts) + ". Until then, use the license before it."
	case "phone_home_overdue":
		return name + " has been out of contact with the vendor for longer than the " +
			strconv.FormatInt(license.OfflineGraceDays, 10) + " days allowed. " + blocked + " Restore the " +
			"connection to the license service, or ask the vendor for an offline license."
	case "superseded":
		return name + ", revision " + strconv.FormatUint(license.Revision, 10) + ", was replaced by a newer " +
			"one. " + blocked + " Install the newer license; it can be fetched from the customer portal."
	}
	return name + " was revoked by the vendor. Contact the vendor to learn why."
}

func howToRenew(license *License) string {
	if license.Model == "air_gapped" {
		return "Ask the vendor for a new .lic file and install it; no connection is needed."
	}
	return "Renew it in the customer portal, or ask the vendor."
}

func day(at int64) string { return time.Unix(at, 0).UTC().Format("2006-01-02") + " (UTC)" }
