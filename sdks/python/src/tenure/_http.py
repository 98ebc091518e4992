"""One request, one bounded answer. Refuses redirects: a credential goes where it was meant to."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request

from .errors import TransportError

TIMEOUT_SECONDS = 30
ANSWER_LEN_MAX = 4 * 1024 * 1024


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def call(
    url: str, bearer: str | None = None, body: object = None, *,
    content_type: str = "application/json", local: bool = False,
) -> dict:
    """GET, or POST where there is a body. ``local``: never through a proxy."""
    data = None if body is None else json.dumps(body, allow_nan=False).encode("utf-8")
    headers = {"Accept": "application/json"}
    if data is not None:
        headers["Content-Type"] = content_type
    if bearer is not None:
        headers["Authorization"] = f"Bearer {bearer}"
    request = urllib.request.Request(url, data, headers)
    proxies = [urllib.request.ProxyHandler({})] if local else []
    opener = urllib.request.build_opener(_NoRedirect, *proxies)
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return _read(url, answer.read(ANSWER_LEN_MAX + 1))
    except urllib.error.HTTPError as error:
        raise TransportError(f"{_detail(error)} (HTTP {error.code})", error.code) from None
    except (OSError, http.client.HTTPException) as error:
        raise TransportError(f"{url}: {error}") from None


def _read(url: str, data: bytes) -> dict:
    try:
        answer = json.loads(data) if len(data) <= ANSWER_LEN_MAX else None
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise TransportError(f"{url}: the answer cannot be read")
    return answer


def _detail(error: urllib.error.HTTPError) -> str:
    """The server's own words, of a problem."""
    try:
        return str(json.loads(error.read(ANSWER_LEN_MAX))["detail"])
    except (ValueError, RecursionError, KeyError, TypeError, OSError):
        return str(error.reason)
