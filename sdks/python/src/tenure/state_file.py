"""What outlives a restart: the time floor, and the last license. Nothing in it is believed without
its signature, and a file that cannot be read is as good as none."""

from __future__ import annotations

import json
import logging
import os

log = logging.getLogger("tenure")
LEN_MAX = 64 * 1024


class StateFile:
    def __init__(self, path: str) -> None:
        self._path = path

    def read(self) -> tuple[int | None, str | None]:
        """The floor and the license token."""
        try:
            with open(self._path, "rb") as file:
                state = json.loads(file.read(LEN_MAX))
            floor, license = state.get("floor"), state.get("license")
        except (OSError, ValueError, RecursionError, AttributeError):
            return None, None
        known = license if isinstance(license, str) else None
        return (floor if type(floor) is int else None), known

    def write(self, floor: int, license: str) -> None:
        """Replaces the file as a whole; a failure is logged, never raised."""
        beside = f"{self._path}.new"
        try:
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump({"floor": floor, "license": license}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self._path)
        except OSError as error:
            log.warning("the license state cannot be kept: %s", error)
