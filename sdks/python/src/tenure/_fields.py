"""Reading typed members out of verified JSON. Each raises ``ValueError`` saying what is wrong."""

from __future__ import annotations

import re
from typing import Callable

NAME_LEN_MAX = 256
COUNT_MAX = (1 << 53) - 1
U32_MAX = (1 << 32) - 1
# What a timestamp can say, in seconds: the years -9999 to 9999.
TIME_MIN, TIME_MAX = -377_705_023_201, 253_402_207_200

_missing = object()
_required = object()
Read = Callable[[object, str], object]


def field(source: dict, name: str, read: Read, default: object = _required) -> object:
    """A member; ``default`` is what it is when left out."""
    value = source.get(name, _missing)
    if value is _missing:
        if default is _required:
            raise ValueError(f"{name} is missing")
        return default
    return read(value, name)


def optional(read: Read) -> Read:
    """``null`` is allowed too."""
    return lambda value, name: None if value is None else read(value, name)


def text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    return value


def flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} is neither true nor false")
    return value


def between(lowest: int, highest: int) -> Read:
    def read(value: object, name: str) -> int:
        # Booleans are integers in Python, and 5.0 is none here.
        if type(value) is not int or not lowest <= value <= highest:
            raise ValueError(f"{name} is no integer from {lowest} to {highest}")
        return value

    return read


moment = between(TIME_MIN, TIME_MAX)
u32 = between(0, U32_MAX)
u64 = between(0, (1 << 64) - 1)


def one_of(*words: str) -> Read:
    def read(value: object, name: str) -> str:
        if value not in words or not isinstance(value, str):
            raise ValueError(f"{name} is none of {', '.join(words)}")
        return value

    return read


def list_of(read: Read) -> Read:
    def read_all(value: object, name: str) -> tuple:
        if not isinstance(value, list):
            raise ValueError(f"{name} is no list")
        return tuple(read(item, name) for item in value)

    return read_all


def members(value: object, name: str) -> dict:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is no object")
    return value


def map_of(read: Read) -> Read:
    def read_all(value: object, name: str) -> dict:
        return {key: read(item, f"{name}.{key}") for key, item in members(value, name).items()}

    return read_all


def id_of(prefix: str) -> Read:
    pattern = re.compile(prefix + "_[0-9a-f]{32}")

    def read(value: object, name: str) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"{name} is no id that begins with {prefix}_")
        return value

    return read


def cap(value: object, name: str) -> int | None:
    """A count, or -1 for unlimited (``None``)."""
    count = between(-1, COUNT_MAX)(value, name)
    return None if count == -1 else count


def short(name: str, value: str) -> None:
    """A name: bounded, without control characters."""
    if len(value.encode("utf-8")) > NAME_LEN_MAX:
        raise ValueError(f"{name} is longer than {NAME_LEN_MAX} bytes")
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in value):
        raise ValueError(f"{name} has control characters")
