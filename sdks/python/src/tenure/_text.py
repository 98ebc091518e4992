"""JSON and base64url with one meaning for every text.

Refuses: a key given twice at any depth (two readers would see two documents), deep nesting,
numbers that are none, text that is not Unicode, and a second spelling of the same bytes.
"""

from __future__ import annotations

import base64
import json
import re

DEPTH_MAX = 8
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def read_json(data: bytes) -> object:
    """The document in ``data``; raises ``ValueError`` with what is wrong."""
    if data.startswith(b"\xef\xbb\xbf"):
        raise ValueError("a byte order mark stands before it")
    try:
        document = json.loads(
            data.decode("utf-8"), object_pairs_hook=_members, parse_constant=_no_number
        )
    except RecursionError:
        raise ValueError("nested too deep") from None
    _check(document, 0)
    return document


def _members(pairs: list) -> dict:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is given twice")
    return members


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no number of JSON")


def _check(value: object, depth: int) -> None:
    """Depth, and that every text can be written as UTF-8 (no lone surrogates)."""
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, (dict, list)):
        if depth >= DEPTH_MAX:
            raise ValueError(f"nested more than {DEPTH_MAX} deep")
        items = value if isinstance(value, list) else [*value, *value.values()]
        for item in items:
            _check(item, depth + 1)


def from_base64url(text: str) -> bytes | None:
    """The bytes of a canonical text; ``None`` for any other text."""
    if not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        return None
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return data if to_base64url(data) == text else None


def to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
