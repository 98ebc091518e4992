package tenure

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// The three questions of a product: may this work go on, is this feature granted, does one more fit.
// Codes and words are the same in every language. Nothing here does anything itself.

const (
	paymentRequired = 402
	missingDefault  = 403
)

// From least to most.
var actions = []string{"allow", "warn", "banner", "block_new", "block"}

// Decision is the answer. Status: the HTTP status to answer with, 200, 402 or 403. Code is stable.
// Message is for people, empty when there is nothing to say; with Banner it belongs on every page.
type Decision struct {
	Allowed bool
	Status  int
	Code    string
	Message string
	Banner  bool
}

// Work is what is to be done.
type Work int

// Kinds of work.
const (
	// New work: a run, a team, an upgrade.
	New Work = iota
	// Running work: what was begun before, reading included.
	Running
)

func refused(status int, code, message string) Decision {
	return Decision{Status: status, Code: code, Message: message}
}

func told(code, message string) Decision {
	return Decision{Allowed: true, Status: 200, Code: code, Message: message}
}

// DecideWork says whether work of a kind may go on in the state of the license.
func DecideWork(license *License, verdict Verdict, work Work) Decision {
	if verdict.State == Active {
		return told("ok", verdict.Notice)
	}
	action := gravity(license.Enforcement.action(verdict.State))
	blocks := gravity("block_new")
	if work == Running {
		blocks = gravity("block")
	}
	decision := told("license_"+verdict.Reason, "")
	if action >= blocks {
		decision.Allowed, decision.Status = false, paymentRequired
	}
	if action > gravity("allow") {
		decision.Message = verdict.Notice
	}
	decision.Banner = action >= gravity("banner")
	return decision
}

func (e Enforcement) action(state State) string {
	return [...]string{"allow", e.Expiring, e.Grace, e.Restricted, e.Terminated}[state]
}

func gravity(action string) int {
	for at, other := range actions {
		if action == other {
			return at
		}
	}
	return len(actions)
}

// DecideFeature says whether a feature may be used: granted, and new work not refused.
func DecideFeature(license *License, verdict Verdict, feature string) Decision {
	if license.HasFeature(feature) {
		return DecideWork(license, verdict, New)
	}
	status, listed := license.Enforcement.Missing[feature]
	if !listed {
		status = missingDefault
	}
	message := fmt.Sprintf("`%s` is not part of the plan %s. %s", feature, license.Tier, ask(license, "To add it"))
	return refused(status, "feature_missing", message)
}

// DecideLimit says whether more fits on top of used. A limit that is not named grants nothing.
func DecideLimit(license *License, verdict Verdict, id string, used, more Quantity) Decision {
	state := DecideWork(license, verdict, New)
	if !state.Allowed {
		return state
	}
	limit, named := license.Limits[id]
	if !named {
		message := fmt.Sprintf("The license has no limit `%s`, so none of it is granted.", id)
		return refused(paymentRequired, "limit_reached", message)
	}
	if limit.Max == nil {
		return state
	}
	total := used.plus(more)
	if total.above(*limit.Max) {
		return past(license, limit, id, used)
	}
	reached := int64(-1)
	for _, percent := range limit.WarnAt {
		if percent > reached && total.reaches(percent, *limit.Max) {
			reached = percent
		}
	}
	if reached < 0 {
		return state
	}
	what := what(limit, id, "limit", "quota")
	near := told("limit_near", fmt.Sprintf("%s: %s/%s (%d%% reached).", what, total, limit.Max, reached))
	near.Banner = state.Banner
	return near
}

func past(license *License, limit Limit, id string, used Quantity) Decision {
	code := "limit_reached"
	if limit.Per != "" {
		code = "quota_exceeded"
	}
	sentence := fmt.Sprintf("%s: %s/%s.", what(limit, id, "limit reached", "quota exceeded"), used, limit.Max)
	switch limit.Over {
	case "warn":
		return told(code, sentence)
	case "charge":
		return told(code, sentence+" More is charged.")
	case "true_up":
		return told(code, sentence+" More is settled at the end of the year.")
	}
	return refused(paymentRequired, code, sentence+" "+ask(license, "To raise it"))
}

func what(limit Limit, id, held, consumed string) string {
	switch limit.Per {
	case "day":
		return "Daily " + consumed
	case "month":
		return "Monthly " + consumed
	case "year":
		return "Yearly " + consumed
	}
	unit := id
	if limit.Unit != nil {
		unit = *limit.Unit
	}
	first, size := utf8.DecodeRuneInString(unit)
	if size == 0 {
		return " " + held
	}
	return string(unicode.ToUpper(first)) + unit[size:] + " " + held
}

func ask(license *License, purpose string) string {
	contact := "the vendor"
	if license.SalesContact != nil {
		contact = *license.SalesContact
	}
	return purpose + ", contact " + contact + "."
}
