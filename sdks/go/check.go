package tenure

import (
	"errors"
	"fmt"
	"unicode"
)

// Whether the claims of a license make sense in themselves, and say no more of anything than its
// named limit.

const (
	featuresMax         = 128
	limitsMax           = 128
	valuesMax           = 128
	warningsMax         = 8
	offlineGraceDaysMax = 3_660
	policySecondsMax    = 10 * 366 * 86_400
)

// beside is what was said beside the grant.
type beside struct {
	subject    string
	granted    []string
	caps       map[string]*int64
	supersedes *uint64
	receipt    *string
}

func checkLicense(license *License, beside beside) error {
	if beside.subject != license.Customer.ID {
		return errors.New("sub is not the customer's id")
	}
	for _, check := range []func(*License) error{checkTimes, checkSizes, checkMissing} {
		if err := check(license); err != nil {
			return err
		}
	}
	if err := checkNames(license, beside.receipt); err != nil {
		return err
	}
	if err := checkGrant(license, beside); err != nil {
		return err
	}
	if license.Revision < 1 || license.Revision > countMax {
		return errors.New("revisions count from 1")
	}
	if beside.supersedes != nil && *beside.supersedes >= license.Revision {
		return errors.New("a license supersedes lower revisions only")
	}
	return nil
}

func checkNames(license *License, receipt *string) error {
	required := []string{
		license.TokenID, license.Customer.ID, license.Customer.Name, license.Product, license.Tier,
	}
	for _, name := range required {
		if name == "" {
			return errors.New("jti, customer.id, customer.name, product and tier must be given")
		}
	}
	names := append(required, license.Customer.Domain)
	names = append(names, license.Features...)
	for _, name := range []*string{license.Mode, receipt, license.SalesContact} {
		if name != nil {
			names = append(names, *name)
		}
	}
	if license.Binding != nil {
		names = append(names, license.Binding.Key)
	}
	for id, limit := range license.Limits {
		names = append(names, id)
		if limit.Unit != nil {
			names = append(names, *limit.Unit)
		}
	}
	for _, name := range names {
		if len(name) > nameLenMax {
			return fmt.Errorf("`%s` is longer than %d bytes", shown(name), nameLenMax)
		}
		for _, letter := range name {
			if unicode.IsControl(letter) {
				return errors.New("a name has control characters")
			}
		}
	}
	return nil
}

func checkTimes(license *License) error {
	policy := license.ExpiryPolicy
	switch {
	case license.Issued < 0:
		return errors.New("iat lies before 1970")
	case license.Starts >= license.Expires:
		return errors.New("the license ends before it starts")
	case license.Issued >= license.Expires:
		return errors.New("the license was signed after its end")
	case license.OfflineGraceDays > offlineGraceDaysMax:
		return errors.New("offlineGracePeriod is too long")
	case policy.WarnBefore > policySecondsMax || policy.RestrictedUntil > policySecondsMax:
		return errors.New("expiry_policy has a time that is too long")
	case policy.FullUntil > policy.RestrictedUntil:
		return errors.New("expiry_policy: full_until lies after restricted_until")
	}
	return nil
}

func checkSizes(license *License) error {
	for _, counted := range []struct {
		name       string
		count, max int
	}{
		{"features", len(license.Features), featuresMax},
		{"limits", len(license.Limits), limitsMax},
		{"values", len(license.Values), valuesMax},
		{"custom_fields", len(license.CustomFields), valuesMax},
		{"enforcement.missing", len(license.Enforcement.Missing), featuresMax},
	} {
		if counted.count > counted.max {
			return fmt.Errorf("%s has %d entries, at most %d are allowed", counted.name, counted.count, counted.max)
		}
	}
	for _, limit := range license.Limits {
		if len(limit.WarnAt) > warningsMax {
			return errors.New("too many entries of warn_at")
		}
	}
	return nil
}

func checkMissing(license *License) error {
	for _, status := range license.Enforcement.Missing {
		if status != 402 && status != 403 {
			return errors.New("enforcement.missing must be 402 or 403")
		}
	}
	return nil
}

// checkGrant: the grant is said twice, exactly and for products to read, and both must agree.
func checkGrant(license *License, beside beside) error {
	if len(beside.granted) != len(license.Features) {
		return errors.New("features and entitlements.features differ")
	}
	for at, feature := range beside.granted {
		if feature != license.Features[at] {
			return errors.New("features and entitlements.features differ")
		}
	}
	if len(license.features) != len(license.Features) {
		return errors.New("a feature is listed twice")
	}
	expected := map[string]*int64{}
	for id, limit := range license.Limits {
		name := "max_" + id
		if limit.Per != "" {
			name += "_per_" + limit.Per
		}
		expected[name] = nil
		if limit.Max != nil {
			whole := limit.Max.whole()
			expected[name] = &whole
		}
	}
	if len(expected) != len(license.Limits) {
		return errors.New("two limits have the same name in entitlements")
	}
	differ := errors.New("limits and entitlements.max_... differ")
	if len(expected) != len(beside.caps) {
		return differ
	}
	for name, want := range expected {
		found, given := beside.caps[name]
		if !given || (found == nil) != (want == nil) || (found != nil && *found != *want) {
			return differ
		}
	}
	return nil
}
