"""What a customer puts into ``LICENSE_KEY``: the short key, the token itself, or a ``.lic`` file.

A short key has a check group, which finds every single wrong character and every swap of two
neighbours. A file is the token in armour, 64 characters a line, and nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import TenureError

KEY_LEN_MAX = 160
LINE_LEN = 64
FILE_LEN_MAX = 48 * 1024 + 2 * (48 * 1024 // LINE_LEN) + 160
BEGIN, END = "-----BEGIN TENURE LICENSE-----", "-----END TENURE LICENSE-----"

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CHECK_PRIME, _CHECK_BASE = 1_048_573, 1_021
_DASHES = dict.fromkeys([*range(0x2010, 0x2016), 0x2212], "-")
_FOLD = str.maketrans("OIL", "011")
# What counts as a blank, as Unicode says (White_Space).
_BLANKS = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_LINE = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class LicenseKey:
    """A key whose check group is right. ``text`` is a secret; ``hint`` may be shown."""

    text: str

    @property
    def hint(self) -> str:
        return "-".join(self.text.split("-")[:3]) + "-..."

    def __repr__(self) -> str:
        return f"LicenseKey({self.hint})"

    @classmethod
    def parse(cls, typed: str) -> LicenseKey:
        """Reads what a person typed; forgives case, blanks, dashes, and O for 0, I and L for 1."""
        if len(typed.encode("utf-8", "surrogatepass")) > KEY_LEN_MAX:
            raise _malformed("it is too long")
        text = _BLANKS.sub("", typed).translate(_DASHES)
        if not re.fullmatch("[A-Za-z0-9-]*", text):
            raise _malformed("it has a character that no key has")
        text = text.upper()
        folded = text.translate(_FOLD)
        parts = folded.split("-")
        if len(parts) != 8:
            raise _malformed("it has a wrong number of groups")
        for part, longest in zip(parts, (12, 6, 12)):
            if not 1 <= len(part) <= longest:
                raise _malformed("its first groups have a wrong length")
        if any(len(group) != 4 for group in parts[3:]):
            raise _malformed("its last groups have four characters each")
        body, _, check = folded.rpartition("-")
        if _check_group(body) != check or any("U" in group for group in parts[3:]):
            message = "the license key has a typing mistake; compare it with the one you were sent"
            raise TenureError("license_key_mistyped", message)
        return cls(text)


def _malformed(why: str) -> TenureError:
    return TenureError("license_key_malformed", f"this is not a license key: {why}")


def _check_group(folded: str) -> str:
    total = 0
    for byte in folded.encode("ascii"):
        total = (total * _CHECK_BASE + byte) % _CHECK_PRIME
    return "".join(_CROCKFORD[total >> shift & 31] for shift in (15, 10, 5, 0))


def read_file(file: str) -> str:
    """The token inside a license file; it has yet to be verified."""
    if len(file.encode("utf-8", "surrogatepass")) > FILE_LEN_MAX:
        raise TenureError("file_too_large", f"at most {FILE_LEN_MAX} bytes are read")
    if not file.isascii() or "\0" in file:
        message = "the license file is not plain ASCII text; was it saved in another encoding?"
        raise TenureError("file_not_plain", message)
    lines = _split(file)
    if lines[0] != BEGIN:
        message = f"the license file must begin with `{BEGIN}`; remove whatever stands before it"
        raise TenureError("file_no_begin", message)
    return _body(lines)


def _body(lines: list[str]) -> str:
    token, short = [], None
    for number, line in enumerate(lines[1:], 2):
        if line == END:
            if len(lines) > number:
                raise TenureError("file_trailing", f"line {number + 1}: nothing may follow `{END}`")
            if not token:
                raise _bad_line(number)
            return "".join(token)
        if not _LINE.fullmatch(line):
            raise _bad_line(number)
        # Only the last line may be short, or the same token had many files.
        if short is not None:
            raise _bad_line(short)
        short = number if len(line) < LINE_LEN else None
        token.append(line)
    raise TenureError("file_no_end", f"the license file lacks its last line, `{END}`")


def _bad_line(number: int) -> TenureError:
    message = f"line {number} is not part of a license; was the file re-wrapped or edited?"
    return TenureError("file_bad_line", message)


def _split(file: str) -> list[str]:
    """The lines without their ends, which must all be alike; the last line's may lack."""
    crlf, ended = "\r\n" in file, file.endswith("\n")
    lines = (file[:-1] if ended else file).split("\n")
    bare = []
    for index, line in enumerate(lines):
        has_end = ended or index + 1 < len(lines)
        wants, has = crlf and has_end, line.endswith("\r")
        line = line[:-1] if has else line
        if wants != has or "\r" in line:
            message = f"line {index + 1}: line ends are mixed; all must be LF, or all CRLF"
            raise TenureError("file_mixed_line_ends", message)
        bare.append(line)
    return bare


def read_presented(text: str) -> str | LicenseKey:
    """A token, yet to be verified, or a key, to be exchanged."""
    if "-----BEGIN" in text:
        return read_file(text)
    # An environment file or a mounted secret often ends with a line break.
    text = text.strip(" \t\n\r\f")
    return text if "." in text else LicenseKey.parse(text)
