"""Recording usage: a bounded queue whose events are sent in batches until they are taken.

An event gets its id once, when it is recorded. Sending it again is safe: it is counted once.
"""

from __future__ import annotations

import collections
import logging
import threading
import time
import uuid
from datetime import datetime, timezone
from typing import Callable

from .errors import TransportError

QUEUE_MAX = 10_000
BATCH_MAX = 500
RETRY_SECONDS_MAX = 300

log = logging.getLogger("tenure")


class Recorder:
    """``refused`` counts the events that were not taken: the queue was full, or the other side
    will never take them."""

    def __init__(self, send: Callable[[list[dict]], dict], source: str) -> None:
        self._send, self._source = send, source
        self._queue: collections.deque[dict] = collections.deque()
        self._sending = threading.Lock()
        self._wait, self._not_before = 0.0, 0.0
        self.refused = 0

    def record(
        self, kind: str, data: dict | None = None, *,
        id: str | None = None, time: datetime | None = None,
    ) -> str | None:
        """Queues one event; its id, or ``None`` when the queue is full."""
        if len(self._queue) >= QUEUE_MAX:
            self._refuse(1, "the queue is full")
            return None
        event = self.event(kind, data, id=id, time=time)
        self._queue.append(event)
        return event["id"]

    def event(
        self, kind: str, data: dict | None = None, *,
        id: str | None = None, time: datetime | None = None,
    ) -> dict:
        """An event of this source, not queued."""
        moment = (time or datetime.now(timezone.utc)).astimezone(timezone.utc)
        event = {
            "specversion": "1.0", "id": id or str(uuid.uuid4()), "source": self._source,
            "type": kind, "time": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        if data is not None:
            event["data"] = data
        return event

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def flush(self, *, patient: bool = False) -> bool:
        """Sends what waits; whether all was sent. ``patient`` waits longer after each failure."""
        with self._sending:
            if patient and time.monotonic() < self._not_before:
                return False
            while self._queue:
                batch = [self._queue[i] for i in range(min(BATCH_MAX, len(self._queue)))]
                try:
                    self._report(self._send(batch))
                except TransportError as error:
                    if error.worth_retrying:
                        self._wait = min(max(2 * self._wait, 5), RETRY_SECONDS_MAX)
                        self._not_before = time.monotonic() + self._wait
                        log.warning("usage waits, %d events: %s", len(self._queue), error)
                        return False
                    self._refuse(len(batch), str(error))
                self._wait = self._not_before = 0.0
                for _ in batch:
                    self._queue.popleft()
            return True

    def _report(self, receipt: dict) -> None:
        for result in receipt.get("results") or []:
            if isinstance(result, dict) and result.get("outcome") in ("rejected", "conflict"):
                self._refuse(1, f"{result.get('id')}: {result.get('detail') or result.get('reason')}")

    def _refuse(self, count: int, why: str) -> None:
        self.refused += count
        log.error("usage not taken, %d events: %s", count, why)
