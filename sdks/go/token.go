package tenure

import "strings"

// Signed tokens: compact JWS, RS256, and nothing else. exp is NOT looked at: an expired license is a
// genuine license, and what it is still worth is for Evaluate to say.

const (
	headerLenMax = 2 * 1024
	algorithm    = "RS256"
)

// kind is what a token is. Each has its own typ and aud, so that none is taken for another.
type kind struct {
	name   string
	lenMax int
}

var (
	licenseKind     = kind{"license", 48 * 1024}
	leaseKind       = kind{"lease", 8 * 1024}
	revocationsKind = kind{"revocations", 1024 * 1024}
)

// VerifyLicense reads a license, believing only trust.
func VerifyLicense(token string, trust *TrustSet) (*License, error) {
	claims, err := verify(token, trust, licenseKind)
	if err != nil {
		return nil, err
	}
	license, check := readLicense(claims)
	return license, believed(claims, trust, licenseKind, check)
}

// VerifyLease reads a lease, believing only trust.
func VerifyLease(token string, trust *TrustSet) (*Lease, error) {
	claims, err := verify(token, trust, leaseKind)
	if err != nil {
		return nil, err
	}
	lease, check := readLease(claims)
	return lease, believed(claims, trust, leaseKind, check)
}

// VerifyRevocations reads a revocation list, believing only trust.
func VerifyRevocations(token string, trust *TrustSet) (*Revocations, error) {
	claims, err := verify(token, trust, revocationsKind)
	if err != nil {
		return nil, err
	}
	list, check := readRevocations(claims)
	return list, believed(claims, trust, revocationsKind, check)
}

// verify checks header and signature and gives the claims as JSON.
func verify(token string, trust *TrustSet, kind kind) (fields, error) {
	if len(token) > kind.lenMax {
		return fields{}, refuse("token_too_large", "a %s token has at most %d bytes", kind.name, kind.lenMax)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return fields{}, refuse("token_malformed", "expected three parts with dots between")
	}
	kid, err := readHeader(parts[0], "tenure-"+kind.name+"+jwt")
	if err != nil {
		return fields{}, err
	}
	if trust.keys[kid] == nil {
		return fields{}, refuse("token_unknown_key", "the token is signed by key `%s`, which is not trusted here", shown(kid))
	}
	signature, err := decoded("signature", parts[2])
	if err != nil {
		return fields{}, err
	}
	// The text as it came: what is verified is what is read.
	if !trust.verifies(kid, []byte(parts[0]+"."+parts[1]), signature) {
		return fields{}, refuse("token_bad_signature", "the token's signature does not verify")
	}
	payload, err := decoded("payload", parts[1])
	if err != nil {
		return fields{}, err
	}
	claims, err := readMembers(payload)
	if err != nil {
		return fields{}, unusable(err)
	}
	return newFields(claims), nil
}

// believed compares whom the claims are of and for, after they were read.
func believed(claims fields, trust *TrustSet, kind kind, check func() error) error {
	iss, aud, product := claims.text("iss"), claims.text("aud"), claims.text("product")
	if *claims.err != nil {
		return unusable(*claims.err)
	}
	if iss != issuer(trust.product) {
		return refuse("token_wrong_issuer", "the token was issued by `%s`", shown(iss))
	}
	if aud != "urn:tenure:"+kind.name {
		return refuse("token_wrong_audience", "the token is meant for `%s`", shown(aud))
	}
	if product != trust.product {
		return refuse("token_wrong_issuer", "the token is for product `%s`", shown(product))
	}
	if err := check(); err != nil {
		return unusable(err)
	}
	return nil
}

func unusable(err error) error {
	return refuse("token_claims_invalid", "the token's claims are not usable: %v", err)
}

func decoded(part, encoded string) ([]byte, error) {
	data, ok := fromBase64url(encoded)
	if !ok {
		return nil, refuse("token_encoding", "the token's %s is not canonical base64url", part)
	}
	return data, nil
}

func readHeader(encoded, typ string) (string, error) {
	if len(encoded) > headerLenMax/3*4 {
		return "", refuse("token_header_malformed", "the token's header is longer than %d bytes", headerLenMax)
	}
	data, err := decoded("header", encoded)
	if err != nil {
		return "", err
	}
	found, err := readMembers(data)
	if err != nil {
		return "", refuse("token_header_malformed", "the token's header is malformed: %v", err)
	}
	for name := range found {
		if name != "alg" && name != "typ" && name != "kid" {
			return "", refuse("token_header_field_refused", "the header has the field `%s`; only alg, typ and kid are allowed", shown(name))
		}
	}
	for _, name := range []string{"alg", "typ", "kid"} {
		text, ok := found[name].(string)
		switch {
		case !ok:
			return "", refuse("token_header_malformed", "`%s` must be given as text", name)
		case name == "alg" && text != algorithm:
			return "", refuse("token_algorithm_refused", "the token says algorithm `%s`; only %s is accepted", shown(text), algorithm)
		case name == "typ" && text != typ:
			return "", refuse("token_wrong_type", "the token is a `%s`, expected `%s`", shown(text), typ)
		}
	}
	return found["kid"].(string), nil
}
