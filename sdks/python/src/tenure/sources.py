"""Where a license comes from while the product runs: an agent beside it, or the vendor's server.

What they answer is a :class:`Grant` of tokens, which are verified by whoever uses them. Fields
outside a signature are used only where they make the answer stricter.
"""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from ._http import call
from .errors import TransportError
from .presented import LicenseKey

AGENT_ADDRESS = "http://127.0.0.1:8766"
_BATCH = "application/cloudevents-batch+json"


@dataclass(frozen=True)
class Grant:
    """Tokens, yet to be verified. ``held_since``, ``floor`` and ``taken_back`` are unsigned."""

    license: str | None
    lease: str | None = None
    revocations: str | None = None
    held_since: int | None = None
    floor: int | None = None
    taken_back: tuple[str, int] | None = None


class Agent:
    """The agent on this machine, opened with its local secret."""

    refresh_seconds = 60
    follows_contact = True

    def __init__(self, secret: str, address: str = AGENT_ADDRESS) -> None:
        self._address, self._secret = address.rstrip("/"), secret.strip()

    def fetch(self, held: str | None = None, revision: int = 0) -> Grant:
        answer = call(f"{self._address}/v1/license", self._secret, local=True)
        return Grant(
            license=_text(answer, "license"),
            lease=_text(answer, "lease"),
            revocations=_text(answer, "revocations"),
            held_since=_moment(answer.get("held_since")),
            floor=_moment(answer.get("floor")),
        )

    def send_usage(self, events: list[dict]) -> dict:
        url = f"{self._address}/v1/usage"
        return call(url, self._secret, events, content_type=_BATCH, local=True)

    def consume(self, quota: str, quantity: str, event: dict) -> dict:
        """Checks a quota and records the event, both or neither."""
        url = f"{self._address}/v1/quota/{quote(quota, safe='')}/consume"
        return call(url, self._secret, {"quantity": quantity, "event": event}, local=True)


class Server:
    """The vendor's server. ``key``: a short license key; ``api_key``: opens the usage API."""

    refresh_seconds = 3600
    follows_contact = False

    def __init__(self, address: str, key: LicenseKey | None = None, api_key: str | None = None):
        self._address, self._key, self._api_key = address.rstrip("/"), key, api_key

    def activate(self) -> dict:
        """Exchanges the license key for a license. No key pair is shown, so no lease is given."""
        if self._key is None:
            raise TransportError("there is no license key to exchange")
        body = {"license_key": self._key.text, "name": platform.node()[:100]}
        return call(f"{self._address}/api/v1/activate", body=body)

    def validate(self, token: str) -> dict:
        """Whether the vendor still stands by a license token: ``valid``, ``status``, ``reason``."""
        return call(f"{self._address}/api/v1/validate", body={"token": token})

    def fetch(self, held: str | None = None, revision: int = 0) -> Grant:
        if held is not None:
            answer = self.validate(held)
            newest = answer.get("revision")
            newer = isinstance(newest, int) and newest > revision
            reason = answer.get("reason")
            if not newer or self._key is None:
                taken = reason if reason in ("revoked", "superseded") else None
                return Grant(held, taken_back=taken and (taken, int(time.time())))
        answer = self.activate()
        return Grant(_text(answer, "license_token"), revocations=_text(answer, "revocations"))

    def send_usage(self, events: list[dict]) -> dict:
        return call(f"{self._address}/api/v1/usage", self._api_key, events, content_type=_BATCH)


def _text(answer: dict, name: str) -> str | None:
    value = answer.get(name)
    return value if isinstance(value, str) else None


def _moment(value: object) -> int | None:
    """Whole seconds, or RFC 3339; ``None`` for anything else."""
    if type(value) is int:
        return value
    try:
        # Python before 3.11 reads neither `Z` nor nine digits of a second.
        text = str(value)
        whole, zulu, _ = text.partition("Z")
        whole = whole.partition(".")[0]
        return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) if zulu else None
    except ValueError:
        return None
