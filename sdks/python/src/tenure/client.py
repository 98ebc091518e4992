"""The license of a running product."""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
from datetime import datetime
from typing import Callable, Mapping

from . import enforcement
from .claims import License
from .enforcement import Decision
from .errors import TenureError, TransportError
from .keys import TrustSet
from .presented import FILE_LEN_MAX, LicenseKey, read_presented
from .quantity import Amount, quantity as exact, show
from .sources import AGENT_ADDRESS, Agent, Grant, Server
from .state import Facts, State, Verdict, evaluate
from .state_file import StateFile
from .token import verify_lease, verify_license, verify_revocations
from .usage import Recorder

TICK_SECONDS = 5
SAVE_SECONDS = 3600
log = logging.getLogger("tenure")


class Tenure:
    """Questions are answered from memory; the network is asked by a thread of its own."""

    def __init__(
        self, trust: TrustSet, license: str | None = None, *,
        source: Agent | Server | None = None, usage: Recorder | None = None,
        state_file: StateFile | None = None, clock: Callable[[], float] = time.time,
    ) -> None:
        """``license``: a token that is held; without one, ``source`` is asked now."""
        self._trust, self._source, self._state_file = trust, source, state_file
        self._clock, self._lock = clock, threading.RLock()
        self.usage = usage
        self._license: License | None = None
        self._revocations, self._taken_back, self._contact = None, None, None
        kept_floor, kept = state_file.read() if state_file else (None, None)
        self._floor, self._saved = kept_floor or 0, 0
        if license is not None:
            self._apply(Grant(license))
        else:
            self._first(kept)
        self._stop, self._thread = threading.Event(), None
        if source is not None or usage is not None:
            self._thread = threading.Thread(target=self._run, name="tenure", daemon=True)
            self._thread.start()

    @classmethod
    def from_env(
        cls, product: str, keys: str, env: Mapping[str, str] = os.environ,
        *, allow_test_keys: bool = False,
    ) -> Tenure:
        """As the environment says: ``TENURE_AGENT_SECRET_FILE`` for an agent, else ``LICENSE_KEY``
        with a token, a ``.lic`` file or its path, or a short key for ``TENURE_SERVER``."""
        trust = TrustSet.from_jwks(product, keys, allow_test_keys=allow_test_keys)
        source: Agent | Server | None = None
        sender: Agent | Server | None = None
        license = None
        secret_file = env.get("TENURE_AGENT_SECRET_FILE")
        if secret_file:
            secret = _read_text(secret_file, 4096)
            source = sender = Agent(secret, env.get("TENURE_AGENT") or AGENT_ADDRESS)
        else:
            key = _presented(env.get("LICENSE_KEY", ""))
            license = key if isinstance(key, str) else None
            server, api_key = env.get("TENURE_SERVER"), env.get("TENURE_API_KEY")
            if server:
                short = key if isinstance(key, LicenseKey) else None
                source = Server(server, short, api_key)
                sender = source if api_key else None
            elif license is None:
                message = "a license key is exchanged for a license: set TENURE_SERVER, or run an agent"
                raise TenureError("license_key_needs_server", message)
        origin = env.get("TENURE_SOURCE") or f"/{product}/{platform.node() or 'unknown'}"
        usage = Recorder(sender.send_usage, origin) if sender else None
        path = env.get("TENURE_STATE_FILE")
        state_file = StateFile(path) if path else None
        return cls(trust, license, source=source, usage=usage, state_file=state_file)

    @property
    def license(self) -> License:
        """What was granted, to whom. Verified."""
        assert self._license is not None, "a license is there from the start on"
        return self._license

    @property
    def state(self) -> State:
        return self.verdict().state

    @property
    def notice(self) -> str | None:
        """What to tell people now, if anything."""
        return self.verdict().notice

    def verdict(self) -> Verdict:
        """The state with its reason; judged anew when it changes, or when the clock went back."""
        now = int(self._clock())
        verdict = self._verdict
        current = verdict.until is None or now < verdict.until
        if now >= self._floor and current and not verdict.clock_suspect:
            self._floor = now
            if now - self._saved < SAVE_SECONDS:
                return verdict
        with self._lock:
            return self._judge(now)

    def feature(self, name: str) -> Decision:
        """Whether a feature may be used now."""
        return enforcement.feature(self.license, self.verdict(), name)

    def limit(self, name: str, used: Amount, more: Amount = 1) -> Decision:
        """Whether ``more`` fits on top of ``used``."""
        return enforcement.limit(self.license, self.verdict(), name, used, more)

    def work(self, kind: str = "new") -> Decision:
        """Whether ``new`` work may begin, or ``running`` work go on."""
        return enforcement.work(self.license, self.verdict(), kind)

    def record(
        self, kind: str, data: dict | None = None, *,
        id: str | None = None, time: datetime | None = None,
    ) -> str | None:
        """Records usage in the background; the event's id, or ``None`` when it was not taken
        (nowhere to send it, or the queue is full). Never waits."""
        return self.usage.record(kind, data, id=id, time=time) if self.usage else None

    def consume(
        self, quota: str, kind: str, data: dict | None = None, *,
        quantity: Amount = 1, id: str | None = None, time: datetime | None = None,
    ) -> Decision:
        """Uses a part of a quota and records it, both or neither: the agent beside decides and
        writes the event down in one step. ``quantity`` is what the quota's meter counts of the
        event. ``id`` names what is counted, so that asking again after a lost answer counts once.
        Waits for the agent's answer."""
        if not isinstance(self._source, Agent) or self.usage is None:
            raise TenureError("agent_missing", "quotas are used through an agent")
        event = self.usage.event(kind, data, id=id, time=time)
        answer = self._source.consume(quota, show(exact(quantity)), event)
        message = answer.get("message")
        return Decision(
            allowed=answer.get("allowed") is True,
            status=answer["status"] if type(answer.get("status")) is int else 402,
            code=str(answer.get("code")),
            message=message if isinstance(message, str) else None,
            banner=answer.get("banner") is True,
        )

    def refresh(self) -> None:
        """Asks agent or server now; raises :class:`TenureError` and keeps what is held."""
        if self._source is not None:
            held, revision = self._token, self.license.revision
            self._apply(self._source.fetch(held, revision))

    def close(self) -> None:
        """Sends what waits, once, and stops the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(TICK_SECONDS)
        if self.usage is not None:
            self.usage.flush()
        self._save(int(self._clock()))

    def __enter__(self) -> Tenure:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _first(self, kept: str | None) -> None:
        """The license at the start; the one kept from before when nobody can be reached."""
        if self._source is None:
            raise TenureError("license_missing", "there is no license, and nobody to ask for one")
        try:
            self._apply(self._source.fetch())
        except TransportError:
            if kept is None:
                raise
            self._apply(Grant(kept))

    def _apply(self, grant: Grant) -> None:
        """Believes what is signed, and takes over all of it or nothing."""
        if grant.license is None:
            raise TenureError("license_missing", "there is no license yet")
        license = verify_license(grant.license, self._trust)
        lease = verify_lease(grant.lease, self._trust) if grant.lease else None
        listed = grant.revocations
        revocations = verify_revocations(listed, self._trust) if listed else None
        with self._lock:
            held = self._license
            if held is not None and held.id == license.id and held.revision > license.revision:
                raise TenureError("license_older", "a newer revision of this license is held")
            self._token, self._license = grant.license, license
            kept = self._revocations
            if revocations and (kept is None or revocations.epoch >= kept.epoch):
                self._revocations = revocations
            self._taken_back = grant.taken_back
            proven = [self._floor, license.issued, grant.floor or 0]
            proven += [revocations.issued] if revocations else []
            if lease is not None and lease.renews(license):
                proven.append(lease.issued)
                self._contact = max(lease.expires, self._contact or 0)
            elif self._contact is None and getattr(self._source, "follows_contact", False):
                self._contact = grant.held_since
            self._floor = max(proven)
            now = int(self._clock())
            self._judge(now)
            self._save(now)

    def _judge(self, now: int) -> Verdict:
        signed = self._revocations.of(self.license) if self._revocations else None
        facts = Facts(self._floor, signed or self._taken_back, self._contact)
        self._verdict = evaluate(self.license, now, facts)
        self._floor = max(self._floor, now)
        if abs(now - self._saved) >= SAVE_SECONDS:
            self._save(now)
        return self._verdict

    def _save(self, now: int) -> None:
        self._saved = now
        if self._state_file is not None:
            self._state_file.write(self._floor, self._token)

    def _run(self) -> None:
        due = time.monotonic() + getattr(self._source, "refresh_seconds", 0)
        while not self._stop.wait(TICK_SECONDS):
            if self.usage is not None:
                self.usage.flush(patient=True)
            if self._source is not None and time.monotonic() >= due:
                due = time.monotonic() + self._source.refresh_seconds
                try:
                    self.refresh()
                except TenureError as error:
                    log.warning("the license was not renewed: %s", error)


def _presented(text: str) -> str | LicenseKey:
    """``LICENSE_KEY``: a key, a token or a file; or the path of a file that holds one of them."""
    if not text.strip():
        raise TenureError("license_missing", "LICENSE_KEY is not set")
    if len(text) < 4096 and "\n" not in text and os.path.isfile(text):
        text = _read_text(text, FILE_LEN_MAX)
    return read_presented(text)


def _read_text(path: str, len_max: int) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(len_max + 1).decode("utf-8", "replace")
    except OSError as error:
        raise TenureError("file_unreadable", f"{path}: {error.strerror}") from None
