"""Signed tokens: compact JWS, RS256, and nothing else.

Does NOT look at ``exp``: an expired license is a genuine license, and what it is still worth is
for :mod:`tenure.state` to say.
"""

from __future__ import annotations

from typing import Callable, TypeVar

from . import claims
from ._text import from_base64url, read_json
from .errors import TenureError
from .keys import TrustSet, issuer

HEADER_LEN_MAX = 2 * 1024
_ALGORITHM = "RS256"

T = TypeVar("T")


def verify_license(token: str, trust: TrustSet) -> claims.License:
    """A license, believing only ``trust``."""
    return _verify(token, trust, "license", 48 * 1024, claims.read_license)


def verify_lease(token: str, trust: TrustSet) -> claims.Lease:
    """A lease, believing only ``trust``."""
    return _verify(token, trust, "lease", 8 * 1024, claims.read_lease)


def verify_revocations(token: str, trust: TrustSet) -> claims.Revocations:
    """A revocation list, believing only ``trust``."""
    return _verify(token, trust, "revocations", 1024 * 1024, claims.read_revocations)


def _verify(
    token: str, trust: TrustSet, kind: str, len_max: int, read: Callable[[dict], claims.Claims[T]]
) -> T:
    if len(token.encode("utf-8", "surrogatepass")) > len_max:
        raise TenureError("token_too_large", f"a {kind} token has at most {len_max} bytes")
    parts = token.split(".")
    if len(parts) != 3:
        raise TenureError("token_malformed", "expected three parts with dots between")
    header, payload, signature = parts
    kid = _read_header(header, f"tenure-{kind}+jwt")
    if not trust.knows(kid):
        raise TenureError("token_unknown_key", f"signed by key `{kid[:80]}`, which is not trusted")
    # The bytes as they came: what is verified is what is read.
    message = f"{header}.{payload}".encode("utf-8", "surrogatepass")
    if not trust.verifies(kid, message, _decoded("signature", signature)):
        raise TenureError("token_bad_signature", "the signature does not verify")
    return _read_claims(_decoded("payload", payload), trust.product, kind, read)


def _decoded(part: str, text: str) -> bytes:
    data = from_base64url(text)
    if data is None:
        raise TenureError("token_encoding", f"the token's {part} is not canonical base64url")
    return data


def _read_header(encoded: str, typ: str) -> str:
    malformed = "token_header_malformed"
    if len(encoded) > HEADER_LEN_MAX // 3 * 4:
        raise TenureError(malformed, f"the header is longer than {HEADER_LEN_MAX} bytes")
    data = _decoded("header", encoded)
    try:
        header = read_json(data)
    except ValueError as error:
        raise TenureError(malformed, f"the token's header is malformed: {error}") from None
    if not isinstance(header, dict):
        raise TenureError(malformed, "the token's header is no object")
    for name in header:
        if name not in ("alg", "typ", "kid"):
            message = f"the header has the field `{name[:80]}`; only alg, typ and kid are allowed"
            raise TenureError("token_header_field_refused", message)
    for name in ("alg", "typ", "kid"):
        if not isinstance(header.get(name), str):
            raise TenureError(malformed, f"`{name}` must be given as text")
        if name == "alg" and header["alg"] != _ALGORITHM:
            raise TenureError("token_algorithm_refused", f"only {_ALGORITHM} is accepted")
        if name == "typ" and header["typ"] != typ:
            raise TenureError("token_wrong_type", f"the token is not a `{typ}`")
    return header["kid"]


def _read_claims(
    payload: bytes, product: str, kind: str, read: Callable[[dict], claims.Claims[T]]
) -> T:
    try:
        members = read_json(payload)
        if not isinstance(members, dict):
            raise ValueError("not an object")
        found = read(members)
        if found.issuer != issuer(product) or found.product != product:
            # Told apart from a wrong audience, in this order.
            if found.issuer != issuer(product) or found.audience == f"urn:tenure:{kind}":
                message = f"the token was issued by `{found.issuer[:80]}` for another product"
                raise TenureError("token_wrong_issuer", message)
        if found.audience != f"urn:tenure:{kind}":
            message = f"the token is meant for `{found.audience[:80]}`"
            raise TenureError("token_wrong_audience", message)
        found.check()
    except ValueError as error:
        message = f"the token's claims are not usable: {error}"
        raise TenureError("token_claims_invalid", message) from None
    return found.claims
