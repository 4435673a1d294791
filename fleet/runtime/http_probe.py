"""Asks URLs for their HTTP status, some at once; of an answer nothing but its status is kept."""

import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any
from urllib.parse import urlsplit

from fleet.model.signals import ProbeRequest
from fleet.model.spans import span

#: URLs that are asked at once.
THREADS = 16
#: Times that a URL is asked until it answers as expected; a link may lose one.
TRIES = 2
#: Real seconds between them.
AGAIN_S = 0.5
#: Real seconds for all URLs of a tick; what was not asked by then counts as not asked.
WITHIN_S = 30.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class _RefuseRedirects(urllib.request.HTTPRedirectHandler):
    """Where a store points instead is nobody that was asked for."""

    def redirect_request(self, *_words: Any) -> None:
        """Follow nothing."""


def ask_urls(
    requests: Sequence[ProbeRequest], *, within_s: float = WITHIN_S
) -> dict[ProbeRequest, str]:
    """Return what is wrong with each URL, "" where nothing is; those without time are missing."""
    if not requests:
        return {}
    threads = ThreadPoolExecutor(min(THREADS, len(requests)), thread_name_prefix="probe")
    try:
        futures = {request: threads.submit(_ask, request) for request in requests}
        wait(futures.values(), timeout=within_s, return_when=FIRST_EXCEPTION)
        return {request: future.result() for request, future in futures.items() if future.done()}
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _ask(request: ProbeRequest) -> str:
    wrong = ""
    for number in range(TRIES):
        if number:
            time.sleep(AGAIN_S)
        wrong = _ask_once(request)
        if not wrong:
            return ""
    return wrong


def _ask_once(request: ProbeRequest) -> str:
    status: int | None = None
    try:
        # Schemes other than http and https are refused in the inventory.
        asked = urllib.request.Request(request.url, headers={"User-Agent": "fleet"})  # noqa: S310
        with _opener(request.url).open(asked, timeout=request.timeout_s) as reply:
            status = reply.status
    except urllib.error.HTTPError as error:
        status = error.code
        error.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _no_answer(error, request.timeout_s)
    return "" if status == request.status else f"HTTP {status}"


def _opener(url: str) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [
        _RefuseRedirects(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
    ]
    if urlsplit(url).hostname in _LOOPBACK:
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


def _no_answer(error: Exception, timeout_s: float) -> str:
    """Return why there is no status; words of the other side are in none of these."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return "a certificate that is not trusted"
    if isinstance(reason, TimeoutError):
        return f"no answer within {span(timeout_s)}"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return f"no answer ({type(reason).__name__})"
