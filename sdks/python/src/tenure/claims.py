"""What licenses, leases and revocation lists say.

A reader ignores members that it does not know, so a newer vendor can add some. The words of the
enumerations are closed. Refuses claims that contradict themselves, and more of anything than its
named limit.
"""

from __future__ import annotations

from dataclasses import dataclass, field as default
from decimal import Decimal
from typing import Callable, Generic, Mapping, TypeVar

from ._fields import (
    COUNT_MAX, between, cap, field, flag, id_of, list_of, map_of, members, moment, one_of, optional,
    short, text, u32, u64,
)
from .quantity import quantity

FEATURES_MAX = LIMITS_MAX = VALUES_MAX = 128
WARNINGS_MAX = 8
OFFLINE_GRACE_DAYS_MAX = 3_660
POLICY_SECONDS_MAX = 10 * 366 * 86_400
WITHDRAWN_MAX = 8_000

T = TypeVar("T")
_action = one_of("allow", "warn", "banner", "block_new", "block")


@dataclass(frozen=True)
class Claims(Generic[T]):
    """Claims on their way to be believed: who they say they are of, and how to check them."""

    issuer: str
    audience: str
    product: str
    claims: T
    check: Callable[[], None]


@dataclass(frozen=True)
class Customer:
    id: str
    name: str
    domain: str


@dataclass(frozen=True)
class Limit:
    """``maximum`` is ``None`` for unlimited; ``per`` is ``None`` for what is held."""

    maximum: Decimal | None
    per: str | None
    over: str
    unit: str | None
    warn_at: tuple[int, ...]


@dataclass(frozen=True)
class ExpiryPolicy:
    warn_before_seconds: int
    full_until_seconds: int
    restricted_until_seconds: int


@dataclass(frozen=True)
class Enforcement:
    """What each state does, and the status of a missing feature by its id."""

    expiring: str = "banner"
    grace: str = "banner"
    restricted: str = "block_new"
    terminated: str = "block"
    missing: Mapping[str, int] = default(default_factory=dict)


@dataclass(frozen=True)
class Binding:
    instance: str
    key: str


@dataclass(frozen=True)
class License:
    """Everything that a license grants, to whom, and until when. Times are whole seconds since
    1970, UTC. Only :func:`tenure.verify_license` makes one."""

    id: str
    revision: int
    token_id: str
    product: str
    subscription: str
    customer: Customer
    edition: str
    model: str
    mode: str | None
    tier: str
    seats: int | None
    features: tuple[str, ...]
    limits: Mapping[str, Limit]
    values: Mapping[str, object]
    support_sla_hours: int | None
    custom_fields: Mapping[str, object]
    issued: int
    starts: int
    expires: int
    update_until: int | None
    offline_grace_days: int
    phone_home_required: bool
    expiry_policy: ExpiryPolicy
    binding: Binding | None
    enforcement: Enforcement
    sales_contact: str | None

    def has_feature(self, feature: str) -> bool:
        """Whether the feature is granted; the state is not looked at."""
        return feature in self.features


@dataclass(frozen=True)
class Lease:
    """This instance was in contact with the vendor; it grants nothing by itself."""

    license: str
    instance: str
    key: str
    issued: int
    expires: int

    def renews(self, license: License) -> bool:
        """Whether it is that license's, and that instance's where the license is bound to one."""
        bound = license.binding
        same = bound is None or (bound.instance == self.instance and bound.key == self.key)
        return self.license == license.id and same


@dataclass(frozen=True)
class Withdrawn:
    license: str
    below: int | None
    at: int


@dataclass(frozen=True)
class Revocations:
    """What was taken back; the list with the higher ``epoch`` governs."""

    epoch: int
    issued: int
    withdrawn: tuple[Withdrawn, ...]

    def of(self, license: License) -> tuple[str, int] | None:
        """``("revoked", at)``, ``("superseded", at)`` or ``None``. The graver of both."""
        mine = [entry for entry in self.withdrawn if entry.license == license.id]
        revoked = [entry.at for entry in mine if entry.below is None]
        if revoked:
            return "revoked", min(revoked)
        replaced = [e.at for e in mine if e.below is not None and license.revision < e.below]
        return ("superseded", min(replaced)) if replaced else None


def read_license(source: dict) -> Claims[License]:
    issued, starts = field(source, "iat", moment), field(source, "nbf", optional(moment), None)
    grant = field(source, "entitlements", members)
    caps = {name: cap(value, name) for name, value in grant.items() if name.startswith("max_")}
    license = License(
        id=field(source, "license", id_of("lic")),
        revision=field(source, "revision", u64),
        token_id=field(source, "jti", text),
        product=field(source, "product", text),
        subscription=field(source, "subscription", id_of("sub")),
        customer=_customer(field(source, "customer", members)),
        edition=field(source, "edition", one_of("standard", "enterprise", "government")),
        model=field(source, "model", one_of("managed", "byoi", "self_hosted", "air_gapped")),
        mode=field(source, "mode", optional(text), None),
        tier=field(grant, "tier", text),
        seats=field(source, "seats", cap),
        features=field(source, "features", list_of(text)),
        limits=field(source, "limits", map_of(_limit), {}),
        values=field(source, "values", members, {}),
        support_sla_hours=field(grant, "support_sla_hours", optional(u32), None),
        custom_fields=field(grant, "custom_fields", members, {}),
        issued=issued,
        starts=issued if starts is None else starts,
        expires=field(source, "exp", moment),
        update_until=field(source, "update_until", optional(moment), None),
        offline_grace_days=field(source, "offlineGracePeriod", u32),
        phone_home_required=field(source, "phoneHomeRequired", flag),
        expiry_policy=_policy(field(source, "expiry_policy", members)),
        binding=field(source, "binding", optional(_binding), None),
        enforcement=field(source, "enforcement", optional(_enforcement), None) or Enforcement(),
        sales_contact=field(source, "sales_contact", optional(text), None),
    )
    supersedes = field(source, "supersedes", optional(_supersedes), None)
    receipt = field(source, "receipt", optional(text), None)
    subject = field(source, "sub", text)
    features = field(grant, "features", list_of(text))

    def check() -> None:
        _ensure(subject == license.customer.id, "sub is not the customer's id")
        _check_names(license, receipt or "")
        _check_times(license)
        _check_sizes(license)
        _ensure(features == license.features, "features and entitlements.features differ")
        _ensure(len(set(features)) == len(features), "a feature is listed twice")
        _ensure(caps == _caps(license.limits), "limits and entitlements.max_... differ")
        _ensure(1 <= license.revision <= COUNT_MAX, "revisions count from 1")
        lower = supersedes is None or supersedes < license.revision
        _ensure(lower, "a license supersedes lower revisions only")

    return _claims(source, license, check)


def read_lease(source: dict) -> Claims[Lease]:
    lease = Lease(
        license=field(source, "license", id_of("lic")),
        instance=field(source, "instance", id_of("ins")),
        key=field(source, "key", text),
        issued=field(source, "iat", moment),
        expires=field(source, "exp", moment),
    )
    names = [field(source, "sub", text), field(source, "jti", text), lease.key]
    field(source, "revision", u64)
    field(source, "epoch", u64)
    field(source, "heartbeat_seconds", u32)

    def check() -> None:
        _ensure(lease.expires > lease.issued, "the lease ends before it begins")
        fits = all(1 <= len(name.encode("utf-8")) <= 256 for name in names)
        _ensure(fits, "sub, jti and key have 1 to 256 bytes")

    return _claims(source, lease, check)


def read_revocations(source: dict) -> Claims[Revocations]:
    withdrawn = field(source, "withdrawn", list_of(_withdrawn))
    found = Revocations(field(source, "epoch", u64), field(source, "iat", moment), withdrawn)
    many = f"a list has at most {WITHDRAWN_MAX} entries"
    return _claims(source, found, lambda: _ensure(len(withdrawn) <= WITHDRAWN_MAX, many))


def _claims(source: dict, claims: T, check: Callable[[], None]) -> Claims[T]:
    issuer, audience = field(source, "iss", text), field(source, "aud", text)
    return Claims(issuer, audience, field(source, "product", text), claims, check)


def _customer(source: dict) -> Customer:
    domain = field(source, "domain", text, "")
    return Customer(field(source, "id", text), field(source, "name", text), domain)


def _limit(value: object, name: str) -> Limit:
    source = members(value, name)
    maximum = field(source, "max", optional(text), None)
    return Limit(
        maximum=None if maximum is None else quantity(maximum),
        per=field(source, "per", optional(one_of("day", "month", "year")), None),
        over=field(source, "over", one_of("block", "warn", "charge", "true_up")),
        unit=field(source, "unit", optional(text), None),
        warn_at=field(source, "warn_at", list_of(u32), ()),
    )


def _policy(source: dict) -> ExpiryPolicy:
    names = ("warn_before_seconds", "full_until_seconds", "restricted_until_seconds")
    return ExpiryPolicy(*(field(source, name, u32) for name in names))


def _enforcement(value: object, name: str) -> Enforcement:
    source, table = members(value, name), Enforcement()
    states = ("expiring", "grace", "restricted", "terminated")
    actions = [field(source, state, _action, getattr(table, state)) for state in states]
    status = between(0, 65_535)
    return Enforcement(*actions, missing=field(source, "missing", map_of(status), {}))


def _binding(value: object, name: str) -> Binding:
    source = members(value, name)
    return Binding(field(source, "instance", id_of("ins")), field(source, "key", text))


def _supersedes(value: object, name: str) -> int:
    source = members(value, name)
    field(source, "at", moment)
    return field(source, "revision", u64)


def _withdrawn(value: object, name: str) -> Withdrawn:
    source = members(value, name)
    below = field(source, "below", optional(u64), None)
    return Withdrawn(field(source, "license", id_of("lic")), below, field(source, "at", moment))


def _ensure(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _check_names(license: License, receipt: str) -> None:
    customer = license.customer
    required = {
        "jti": license.token_id, "customer.id": customer.id, "customer.name": customer.name,
        "product": license.product, "entitlements.tier": license.tier,
    }
    for name, value in required.items():
        _ensure(value != "", f"{name} is empty")
        short(name, value)
    key = license.binding.key if license.binding else ""
    contact = license.sales_contact or ""
    units = [limit.unit for limit in license.limits.values() if limit.unit is not None]
    optional_names = [customer.domain, license.mode or "", key, receipt, contact]
    for value in [*optional_names, *license.features, *license.limits, *units]:
        short(f"`{value[:20]}`", value)


def _check_times(license: License) -> None:
    policy = license.expiry_policy
    longest = max(policy.warn_before_seconds, policy.restricted_until_seconds)
    ordered = policy.full_until_seconds <= policy.restricted_until_seconds
    _ensure(license.issued >= 0, "iat lies before 1970")
    _ensure(license.starts < license.expires, "the license ends before it starts")
    _ensure(license.issued < license.expires, "the license was signed after its end")
    _ensure(license.offline_grace_days <= OFFLINE_GRACE_DAYS_MAX, "offlineGracePeriod is too long")
    _ensure(longest <= POLICY_SECONDS_MAX, "expiry_policy has a time that is too long")
    _ensure(ordered, "expiry_policy: full_until lies after restricted_until")


def _check_sizes(license: License) -> None:
    missing = license.enforcement.missing
    _ensure(len(license.features) <= FEATURES_MAX, "too many features")
    _ensure(len(license.limits) <= LIMITS_MAX, "too many limits")
    _ensure(len(license.values) <= VALUES_MAX, "too many values")
    _ensure(len(license.custom_fields) <= VALUES_MAX, "too many custom_fields")
    _ensure(len(missing) <= FEATURES_MAX, "too many entries of enforcement.missing")
    warnings = max((len(limit.warn_at) for limit in license.limits.values()), default=0)
    _ensure(warnings <= WARNINGS_MAX, "too many entries of warn_at")
    _ensure(set(missing.values()) <= {402, 403}, "enforcement.missing must be 402 or 403")


def _caps(limits: Mapping[str, Limit]) -> dict[str, int | None]:
    """The grant in the form that products read: ``max_<limit>[_per_<calendar>]``."""
    caps: dict[str, int | None] = {}
    for name, limit in limits.items():
        per = f"_per_{limit.per}" if limit.per else ""
        whole = None if limit.maximum is None else min(int(limit.maximum), COUNT_MAX)
        caps[f"max_{name}{per}"] = whole
    _ensure(len(caps) == len(limits), "two limits have the same name in entitlements")
    return caps
