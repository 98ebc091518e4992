"""What a verified license is worth at a moment: verification is apart from enforcement.

::

           warn_before            full_until          restricted_until
    active ----------> expiring -> exp -> grace ----> restricted -----> terminated
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from enum import IntEnum

from ._fields import TIME_MAX, TIME_MIN
from .claims import License

CLOCK_TOLERANCE_SECONDS = 5 * 60
_DAY = 24 * 60 * 60


class State(IntEnum):
    """How much of the product works, from best to worst."""

    ACTIVE = 0
    EXPIRING = 1
    GRACE = 2
    RESTRICTED = 3
    TERMINATED = 4

    @property
    def word(self) -> str:
        return self.name.lower()


_STATE_OF = {
    "valid": State.ACTIVE,
    "expires_soon": State.EXPIRING,
    "expired_full": State.GRACE,
    "expired_restricted": State.RESTRICTED,
    "not_yet_valid": State.RESTRICTED,
    "phone_home_overdue": State.RESTRICTED,
    "superseded": State.RESTRICTED,
    "expired": State.TERMINATED,
    "revoked": State.TERMINATED,
}


@dataclass(frozen=True)
class Verdict:
    """``until``: when the state changes next, if it ever does. ``notice``: what to tell people.
    ``as_of``: the moment that was judged, later than the clock where that was set back."""

    state: State
    reason: str
    until: int | None
    notice: str | None
    as_of: int
    clock_suspect: bool


@dataclass(frozen=True)
class Facts:
    """What is known beside the license. ``floor``: the latest moment proven to have passed.
    ``revocation``: what :meth:`Revocations.of` says. ``contact_until``: the end of the last lease,
    or since when the license is held without one; ``None`` where contact is not followed."""

    floor: int | None = None
    revocation: tuple[str, int] | None = None
    contact_until: int | None = None


def evaluate(license: License, now: int, facts: Facts = Facts()) -> Verdict:
    """What the license is worth at ``now`` (seconds since 1970). Time never improves a state,
    except that a license whose time had not come becomes valid."""
    floor = max(license.issued, facts.floor if facts.floor is not None else license.issued)
    suspect = now < floor - CLOCK_TOLERANCE_SECONDS
    # Time stands still at the floor: setting a clock back gains nothing.
    as_of = max(now, floor)
    reason = _reason_at(license, facts, as_of)
    state = _STATE_OF[reason]
    until = _next_change(license, facts, as_of, state)
    notice = _notice(license, reason, until, now if suspect else None)
    return Verdict(state, reason, until, notice, as_of, suspect)


def _reason_at(license: License, facts: Facts, at: int) -> str:
    """The gravest reason that holds; of two equally grave ones, the one listed first."""
    gravest = "valid"
    overdue = _contact_ends(license, facts)
    findings = [
        facts.revocation[0] if facts.revocation and facts.revocation[1] <= at else "valid",
        "phone_home_overdue" if overdue is not None and overdue <= at else "valid",
        "not_yet_valid" if at < license.starts - CLOCK_TOLERANCE_SECONDS else "valid",
        _expiry(license, at),
    ]
    for reason in findings:
        if _STATE_OF[reason] > _STATE_OF[gravest]:
            gravest = reason
    return gravest


def _contact_ends(license: License, facts: Facts) -> int | None:
    if not license.phone_home_required or facts.contact_until is None:
        return None
    return _shift(facts.contact_until, license.offline_grace_days * _DAY)


def _expiry(license: License, at: int) -> str:
    warns, end, full, restricted = _edges(license)
    if at >= restricted:
        return "expired"
    if at >= full:
        return "expired_restricted"
    if at >= end:
        return "expired_full"
    return "expires_soon" if at >= warns else "valid"


def _edges(license: License) -> tuple[int, int, int, int]:
    end, policy = license.expires, license.expiry_policy
    return (
        _shift(end, -policy.warn_before_seconds),
        end,
        _shift(end, policy.full_until_seconds),
        _shift(end, policy.restricted_until_seconds),
    )


def _next_change(license: License, facts: Facts, as_of: int, state: State) -> int | None:
    edges = [license.starts - CLOCK_TOLERANCE_SECONDS, *_edges(license)]
    overdue = _contact_ends(license, facts)
    if overdue is not None:
        edges.append(overdue)
    if facts.revocation:
        edges.append(facts.revocation[1])
    for edge in sorted(edges):
        if edge > as_of and _STATE_OF[_reason_at(license, facts, edge)] != state:
            return edge
    return None


def _shift(at: int, seconds: int) -> int:
    return min(max(at + seconds, TIME_MIN), TIME_MAX)


def _notice(license: License, reason: str, until: int | None, clock: int | None) -> str | None:
    """What is so, the date, what to do."""
    said = [] if reason == "valid" else [_about(license, reason, until)]
    if clock is not None:
        said.append(
            f"This machine's clock says {_day(clock)}, which is earlier than a moment known to "
            "have passed. Set the clock; until then license time stands still."
        )
    return " ".join(said) or None


def _about(license: License, reason: str, until: int | None) -> str:
    name = f"The {license.product} license of {license.customer.name}"
    end, renew = _day(license.expires), _how_to_renew(license.model)
    then = "further notice" if until is None else _day(until)
    blocked = f"New work is blocked; what runs goes on until {then}."
    if reason == "expires_soon":
        return f"{name} ends on {end}. Everything keeps working until then. {renew}"
    if reason == "expired_full":
        return f"{name} ended on {end}. Everything keeps working until {then}. {renew}"
    if reason == "expired_restricted":
        return f"{name} ended on {end}. {blocked} {renew}"
    if reason == "expired":
        return f"{name} ended on {end} and its grace time is over. {renew}"
    if reason == "not_yet_valid":
        start = _day(license.starts)
        return f"{name} begins on {start}. Until then, use the license before it."
    if reason == "phone_home_overdue":
        return (
            f"{name} has been out of contact with the vendor for longer than the "
            f"{license.offline_grace_days} days allowed. {blocked} Restore the connection to the "
            "license service, or ask the vendor for an offline license."
        )
    if reason == "superseded":
        return (
            f"{name}, revision {license.revision}, was replaced by a newer one. {blocked} Install "
            "the newer license; it can be fetched from the customer portal."
        )
    return f"{name} was revoked by the vendor. Contact the vendor to learn why."


def _how_to_renew(model: str) -> str:
    if model == "air_gapped":
        return "Ask the vendor for a new .lic file and install it; no connection is needed."
    return "Renew it in the customer portal, or ask the vendor."


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at, timezone.utc).date()} (UTC)"
