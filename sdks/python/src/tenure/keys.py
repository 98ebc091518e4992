"""Whom a verifier believes: the public keys of ONE product.

Refuses: any algorithm but RS256, moduli outside 2048 to 4096 bits, exponents other than 65537, a
``kid`` that is not the key's own thumbprint, members that do not belong to a public key, and the
published test keys.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from ._text import from_base64url, read_json, to_base64url
from .errors import TenureError

JWKS_LEN_MAX = 32 * 1024
KEYS_MAX = 16
BITS_MIN, BITS_MAX = 2048, 4096
_EXPONENT = "AQAB"
_MEMBERS = {"kty", "use", "alg", "kid", "n", "e"}
# Their private halves are published with the golden vectors.
_TEST_KIDS = {
    "eg2cUMqIzVAF2hzY-5Z5LtZQKlx6zM88iG2U1A82qjs",
    "VPT2uYORtGgTQ44x0v6zkYKDGyb_SM8wGiV-sG3IZSI",
}


class TrustSet:
    """The keys of one product, each parsed once."""

    def __init__(self, product: str, keys: dict[str, RSAPublicKey]) -> None:
        self.product = product
        self._keys = keys

    @classmethod
    def from_jwks(cls, product: str, jwks: str, *, allow_test_keys: bool = False) -> TrustSet:
        """The keys of ``product`` from the JSON Web Key Set that its vendor publishes.
        ``allow_test_keys`` is for the golden vectors and for nothing else."""
        if len(jwks.encode("utf-8", "surrogatepass")) > JWKS_LEN_MAX:
            raise TenureError("keys_too_large", f"the key set has more than {JWKS_LEN_MAX} bytes")
        jwk_list = _read_set(jwks, issuer(product))
        keys: dict[str, RSAPublicKey] = {}
        parsed = [_read_jwk(jwk) for jwk in jwk_list]
        for kid, key in parsed:
            if kid in keys:
                raise TenureError("keys_duplicate", f"key `{kid}` is listed twice")
            keys[kid] = key
        if not keys:
            raise TenureError("keys_empty", "the key set is empty")
        test = _TEST_KIDS.intersection(keys)
        if test and not allow_test_keys:
            kid = test.pop()
            message = f"key `{kid}` is a published test key; anybody can sign with it"
            raise TenureError("keys_test_key", message)
        return cls(product, keys)

    @property
    def kids(self) -> list[str]:
        return list(self._keys)

    def knows(self, kid: str) -> bool:
        return kid in self._keys

    def verifies(self, kid: str, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is that key's RS256 signature of ``message``."""
        try:
            self._keys[kid].verify(signature, message, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True


def issuer(product: str) -> str:
    """The ``iss`` of every token of a product."""
    return f"urn:tenure:product:{product}"


def _read_set(jwks: str, expected: str) -> list[dict]:
    try:
        members = read_json(jwks.encode("utf-8"))
        if not isinstance(members, dict) or not set(members) <= {"issuer", "keys"}:
            raise ValueError("expected an object with `keys`")
        found, keys = members.get("issuer"), members.get("keys")
        if found is not None and not isinstance(found, str):
            raise ValueError("`issuer` is no text")
        if not isinstance(keys, list):
            raise ValueError("`keys` is no list")
        for jwk in keys:
            _check_members(jwk)
    except ValueError as error:
        raise TenureError("keys_malformed", f"not a key set: {error}") from None
    if found is not None and found != expected:
        message = f"the key set is that of `{found}`, expected `{expected}`"
        raise TenureError("keys_wrong_issuer", message)
    if len(keys) > KEYS_MAX:
        raise TenureError("keys_too_many", f"the key set has more than {KEYS_MAX} keys")
    return keys


def _check_members(jwk: object) -> None:
    if not isinstance(jwk, dict):
        raise ValueError("a key is no object")
    for name in set(jwk) | (_MEMBERS - {"use"}):
        if name not in _MEMBERS:
            raise ValueError(f"a key has the member `{name}`")
        if not isinstance(jwk.get(name), str) and not (name == "use" and jwk.get(name) is None):
            raise ValueError(f"`{name}` of a key must be given as text")


def _read_jwk(jwk: dict) -> tuple[str, RSAPublicKey]:
    kid = jwk["kid"]
    for member, wanted in (("kty", "RSA"), ("alg", "RS256"), ("use", "sig")):
        if jwk.get(member) not in ((wanted, None) if member == "use" else (wanted,)):
            raise TenureError("keys_not_rs256", f"key `{kid}`: {member} must be `{wanted}`")
    if jwk["e"] != _EXPONENT:
        raise _unusable(kid, "the public exponent must be 65537")
    modulus = from_base64url(jwk["n"])
    if modulus is None:
        raise TenureError("keys_malformed", f"key `{kid}`: n is not base64url")
    if not modulus or modulus[0] == 0:
        raise _unusable(kid, "not an RSA key that can be read")
    n = int.from_bytes(modulus, "big")
    if not BITS_MIN <= n.bit_length() <= BITS_MAX:
        raise _unusable(kid, f"a modulus has {BITS_MIN} to {BITS_MAX} bits")
    if n % 2 == 0:
        raise _unusable(kid, "not an RSA key that can be read")
    if thumbprint(jwk["n"]) != kid:
        raise TenureError("keys_wrong_kid", f"key `{kid}`: its kid is not its thumbprint")
    try:
        return kid, RSAPublicNumbers(65537, n).public_key()
    except ValueError:
        raise _unusable(kid, "not an RSA key that can be read") from None


def thumbprint(n: str) -> str:
    """RFC 7638, section 3: the required members in order, hashed."""
    canonical = f'{{"e":"{_EXPONENT}","kty":"RSA","n":"{n}"}}'
    return to_base64url(hashlib.sha256(canonical.encode("ascii")).digest())


def _unusable(kid: str, why: str) -> TenureError:
    return TenureError("keys_unusable_key", f"key `{kid}`: {why}")
