"""The three questions of a product: may this work go on, is this feature granted, does one more
fit. Codes and words are the same in every language. Refuses to do anything itself."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from .claims import License, Limit
from .quantity import EXACT, Amount, quantity, show
from .state import State, Verdict

PAYMENT_REQUIRED = 402
MISSING_DEFAULT = 403
_ACTIONS = ("allow", "warn", "banner", "block_new", "block")
_CALENDAR = {"day": "Daily", "month": "Monthly", "year": "Yearly"}


@dataclass(frozen=True)
class Decision:
    """``status``: the HTTP status to answer with, 200, 402 or 403. ``code`` is stable.
    ``message`` is for people; with ``banner`` it belongs on every page."""

    allowed: bool
    status: int = 200
    code: str = "ok"
    message: str | None = None
    banner: bool = False


def work(license: License, verdict: Verdict, kind: str = "new") -> Decision:
    """Whether ``new`` or ``running`` work may go on in the state of the license."""
    if kind not in ("new", "running"):
        raise ValueError("work is `new` or `running`")
    if verdict.state == State.ACTIVE:
        return Decision(True, message=verdict.notice)
    action = _ACTIONS.index(getattr(license.enforcement, verdict.state.word))
    refused = action >= _ACTIONS.index("block_new" if kind == "new" else "block")
    return Decision(
        allowed=not refused,
        status=PAYMENT_REQUIRED if refused else 200,
        code=f"license_{verdict.reason}",
        message=verdict.notice if action > 0 else None,
        banner=action >= _ACTIONS.index("banner"),
    )


def feature(license: License, verdict: Verdict, name: str) -> Decision:
    """Whether a feature may be used: granted, and new work not refused."""
    if license.has_feature(name):
        return work(license, verdict)
    status = license.enforcement.missing.get(name, MISSING_DEFAULT)
    add = _ask(license, "To add it")
    message = f"`{name}` is not part of the plan {license.tier}. {add}"
    return Decision(False, status, "feature_missing", message)


def limit(license: License, verdict: Verdict, name: str, used: Amount, more: Amount) -> Decision:
    """Whether ``more`` fits on top of ``used``. A limit that is not named grants nothing."""
    held, total = quantity(used), EXACT.add(quantity(used), quantity(more))
    state = work(license, verdict)
    if not state.allowed:
        return state
    bound = license.limits.get(name)
    if bound is None:
        message = f"The license has no limit `{name}`, so none of it is granted."
        return Decision(False, PAYMENT_REQUIRED, "limit_reached", message)
    maximum = bound.maximum
    if maximum is None:
        return state
    if total > maximum:
        return _past(license, bound, name, f"{show(held)}/{show(maximum)}")
    reached = [p for p in bound.warn_at if EXACT.multiply(total, Decimal(100)) >= maximum * p]
    if reached:
        what = f"{_what(bound, name, 'limit', 'quota')}: {show(total)}/{show(maximum)}"
        message = f"{what} ({max(reached)}% reached)."
        return Decision(True, 200, "limit_near", message, state.banner)
    return state


def _past(license: License, bound: Limit, name: str, standing: str) -> Decision:
    code = "quota_exceeded" if bound.per else "limit_reached"
    what = _what(bound, name, "limit reached", "quota exceeded")
    sentence = f"{what}: {standing}."
    if bound.over == "block":
        message = f"{sentence} {_ask(license, 'To raise it')}"
        return Decision(False, PAYMENT_REQUIRED, code, message)
    after = {"warn": "", "charge": " More is charged."}
    settled = " More is settled at the end of the year."
    return Decision(True, 200, code, sentence + after.get(bound.over, settled))


def _what(bound: Limit, name: str, held: str, consumed: str) -> str:
    if bound.per:
        return f"{_CALENDAR[bound.per]} {consumed}"
    unit = name if bound.unit is None else bound.unit
    return f"{unit[:1].upper()}{unit[1:]} {held}"


def _ask(license: License, purpose: str) -> str:
    contact = "the vendor" if license.sales_contact is None else license.sales_contact
    return f"{purpose}, contact {contact}."
