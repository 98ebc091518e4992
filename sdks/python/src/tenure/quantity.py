"""Exact quantities: at most 15 digits before and 6 after the point, never a float."""

from __future__ import annotations

import re
from decimal import Context, Decimal
from typing import Union

_PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_BOUND = Decimal(10) ** 15
# Wide enough that nothing is ever rounded.
EXACT = Context(prec=60)

Amount = Union[int, str, Decimal]


def quantity(amount: Amount) -> Decimal:
    """An amount as a decimal; raises ``ValueError`` where it is none. Floats are refused."""
    if isinstance(amount, bool) or not isinstance(amount, (int, str, Decimal)):
        raise ValueError("a quantity is an integer, a decimal, or a text such as '0.5'")
    plain = format(amount, "f") if isinstance(amount, Decimal) else str(amount)
    if len(plain) > 60 or not _PLAIN.fullmatch(plain):
        raise ValueError(f"`{plain[:60]}` is not a quantity: write a plain decimal such as 12 or 0.5")
    value = Decimal(plain)
    if value < 0:
        raise ValueError("a quantity cannot be negative")
    if value >= _BOUND or len(show(value).partition(".")[2]) > 6:
        raise ValueError("a quantity has at most 15 digits before and 6 after the point")
    return value


def show(value: Decimal) -> str:
    """Without trailing zeros and without an exponent."""
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
