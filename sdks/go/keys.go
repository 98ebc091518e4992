package tenure

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
)

const (
	jwksLenMax = 32 * 1024
	keysMax    = 16
	keyBitsMin = 2048
	keyBitsMax = 4096
	exponent   = "AQAB"
)

// Their private halves are published with the golden vectors.
var testKids = [...]string{
	"eg2cUMqIzVAF2hzY-5Z5LtZQKlx6zM88iG2U1A82qjs",
	"VPT2uYORtGgTQ44x0v6zkYKDGyb_SM8wGiV-sG3IZSI",
}

// TrustSet is whom a verifier believes: the public keys of ONE product, each parsed once. Refused:
// any algorithm but RS256, moduli outside 2048 to 4096 bits, exponents other than 65537, a kid that
// is not the key's own thumbprint, members that do not belong to a public key, and the published
// test keys.
type TrustSet struct {
	product string
	kids    []string
	keys    map[string]*rsa.PublicKey
}

// ReadKeys reads the JSON Web Key Set that the vendor of a product publishes.
func ReadKeys(product, jwks string) (*TrustSet, error) {
	set, err := ReadTestKeys(product, jwks)
	if err != nil {
		return nil, err
	}
	for _, kid := range testKids {
		if set.keys[kid] != nil {
			return nil, refuse("keys_test_key", "key `%s` is a published test key; anybody can sign with it", kid)
		}
	}
	return set, nil
}

// ReadTestKeys is ReadKeys that believes the published test keys too: for the golden vectors and for
// nothing else.
func ReadTestKeys(product, jwks string) (*TrustSet, error) {
	if len(jwks) > jwksLenMax {
		return nil, refuse("keys_too_large", "the key set has more than %d bytes", jwksLenMax)
	}
	list, err := readSet(jwks, issuer(product))
	if err != nil {
		return nil, err
	}
	set := &TrustSet{product: product, keys: map[string]*rsa.PublicKey{}}
	var parsed []*rsa.PublicKey
	for _, jwk := range list {
		key, err := readJWK(jwk)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, key)
	}
	for at, key := range parsed {
		kid := list[at]["kid"]
		if set.keys[kid] != nil {
			return nil, refuse("keys_duplicate", "key `%s` is listed twice", kid)
		}
		set.keys[kid] = key
		set.kids = append(set.kids, kid)
	}
	if len(set.kids) == 0 {
		return nil, refuse("keys_empty", "the key set is empty")
	}
	return set, nil
}

// Product is the product whose tokens these keys verify.
func (t *TrustSet) Product() string { return t.product }

// Kids are the names of the keys, in the order given.
func (t *TrustSet) Kids() []string { return append([]string(nil), t.kids...) }

// verifies says whether signature is that key's RS256 signature of message.
func (t *TrustSet) verifies(kid string, message, signature []byte) bool {
	digest := sha256.Sum256(message)
	return rsa.VerifyPKCS1v15(t.keys[kid], crypto.SHA256, digest[:], signature) == nil
}

// issuer is the iss of every token of a product.
func issuer(product string) string { return "urn:tenure:product:" + product }

type jwk = map[string]string

func readSet(jwks, expected string) ([]jwk, error) {
	set, err := readMembers([]byte(jwks))
	if err != nil {
		return nil, refuse("keys_malformed", "not a key set: %v", err)
	}
	from := newFields(set)
	for name := range set {
		if name != "issuer" && name != "keys" {
			from.fail("it has the member `%s`", shown(name))
		}
	}
	found := from.maybeText("issuer")
	var keys []jwk
	for _, item := range from.list("keys") {
		key, err := readMembersOfKey(item)
		if err != nil {
			from.fail("%v", err)
		}
		keys = append(keys, key)
	}
	if *from.err != nil {
		return nil, refuse("keys_malformed", "not a key set: %v", *from.err)
	}
	if found != nil && *found != expected {
		return nil, refuse("keys_wrong_issuer", "the key set is that of `%s`, expected `%s`", shown(*found), expected)
	}
	if len(keys) > keysMax {
		return nil, refuse("keys_too_many", "the key set has more than %d keys", keysMax)
	}
	return keys, nil
}

func readMembersOfKey(item interface{}) (jwk, error) {
	source, ok := item.(members)
	if !ok {
		return nil, errors.New("a key is no object")
	}
	key := jwk{}
	for name, value := range source {
		switch name {
		case "kty", "use", "alg", "kid", "n", "e":
		default:
			return nil, fmt.Errorf("a key has the member `%s`", shown(name))
		}
		text, ok := value.(string)
		if !ok && !(name == "use" && value == nil) {
			return nil, fmt.Errorf("`%s` of a key must be given as text", name)
		}
		if ok {
			key[name] = text
		}
	}
	for _, name := range []string{"kty", "alg", "kid", "n", "e"} {
		if _, given := key[name]; !given {
			return nil, fmt.Errorf("`%s` of a key is missing", name)
		}
	}
	return key, nil
}

func readJWK(key jwk) (*rsa.PublicKey, error) {
	kid := key["kid"]
	unusable := func(why string) error { return refuse("keys_unusable_key", "key `%s`: %s", shown(kid), why) }
	const unreadable = "not an RSA key that can be read"
	for _, wanted := range [][2]string{{"kty", "RSA"}, {"alg", "RS256"}, {"use", "sig"}} {
		if found, given := key[wanted[0]]; given && found != wanted[1] {
			return nil, refuse("keys_not_rs256", "key `%s`: %s must be `%s`", shown(kid), wanted[0], wanted[1])
		}
	}
	if key["e"] != exponent {
		return nil, unusable("the public exponent must be 65537")
	}
	modulus, ok := fromBase64url(key["n"])
	if !ok {
		return nil, refuse("keys_malformed", "key `%s`: n is not base64url", shown(kid))
	}
	if len(modulus) == 0 || modulus[0] == 0 {
		return nil, unusable(unreadable)
	}
	n := new(big.Int).SetBytes(modulus)
	if n.BitLen() < keyBitsMin || n.BitLen() > keyBitsMax {
		return nil, unusable(fmt.Sprintf("a modulus has %d to %d bits, this one has %d", keyBitsMin, keyBitsMax, n.BitLen()))
	}
	if n.Bit(0) == 0 {
		return nil, unusable(unreadable)
	}
	if thumbprint(key["n"]) != kid {
		return nil, refuse("keys_wrong_kid", "key `%s`: its kid is not its thumbprint", shown(kid))
	}
	return &rsa.PublicKey{N: n, E: 65537}, nil
}

// thumbprint is RFC 7638, section 3: the required members in order, hashed.
func thumbprint(n string) string {
	digest := sha256.Sum256([]byte(`{"e":"` + exponent + `","kty":"RSA","n":"` + n + `"}`))
	return toBase64url(digest[:])
}
