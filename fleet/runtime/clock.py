"""The clock of a run: this machine's, or the one at ``FLEET_CLOCK``, for tests.

A remote clock is asked ``GET url`` and answers ``{"now": epoch seconds, "rate": seconds of it per
real second}``. Between two answers its time is worked out here.
"""

import ipaddress
import json
import math
import os
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any, NoReturn
from urllib.parse import urlencode, urlsplit

from fleet.errors import SandboxError, UsageError
from fleet.model.clock import Clock, SystemClock

VARIABLE = "FLEET_CLOCK"
#: Real seconds for which an answer is good; a clock that is advanced by hand is asked every time.
SYNC_EVERY_S = 2.0
#: Real seconds for which a running clock that answers late is worked out from its last answer.
PATIENCE_S = 60.0
#: Real seconds to wait for an answer, and for one that may be held back for 25 s.
ANSWER_TIMEOUT_S = 5.0
POLL_TIMEOUT_S = 35.0
#: Real seconds between two questions when the clock answers at once that it is not yet time.
POLL_PAUSE_S = 0.02
#: Longest believable rate; a day in under a second.
FASTEST = 100_000.0
HINT = "fleet sandbox status; or unset FLEET_CLOCK to use this machine's clock"


def clock_from_environment() -> Clock:
    """Return the machine's clock, or the remote one if ``FLEET_CLOCK`` is set.

    Raises:
        UsageError: ``FLEET_CLOCK`` is not an http URL of this machine.
        SandboxError: nothing answers there as a clock.
    """
    url = os.environ.get(VARIABLE)
    return RemoteClock(url) if url else SystemClock()


class RemoteClock:
    """A clock that runs at another rate than the machine's, or stands until it is advanced.

    It never goes backwards, whatever the other side answers. Thread-safe.

    Args:
        url: of the clock; http, and on the loopback interface only, because whoever answers
            decides what is late, expired and due.
    """

    def __init__(self, url: str) -> None:
        _check_loopback(url)
        self._url = url
        self._asked_at = time.monotonic()
        self._opener = urllib.request.build_opener(
            # No proxy of the environment, and no way for an answer to lead off this machine.
            urllib.request.ProxyHandler({}),
            _NoRedirects,
        )
        self._lock = threading.Lock()
        self._latest = -math.inf
        self._asking = False
        self._set(self._ask(None))

    def now(self) -> datetime:
        """Return the time there, aware, in UTC."""
        return datetime.fromtimestamp(self._now(), UTC)

    def sleep(self, seconds: float) -> None:
        """Wait for this many seconds there; a negative wait is none."""
        until = self._now() + max(0.0, seconds)
        while (missing := until - self._now()) > 0:
            rate = self._rate
            if rate > 0:
                # In short stretches, as the rate may change meanwhile.
                time.sleep(min(missing / rate, SYNC_EVERY_S))
            else:
                self._poll(until)

    def _now(self) -> float:
        with self._lock:
            age = time.monotonic() - self._asked_at
            # One thread asks; to the others the last answer is good enough meanwhile.
            good_s = PATIENCE_S if self._asking else SYNC_EVERY_S
            if self._rate and age <= good_s:
                return self._worked_out()
            self._asking = True
        try:
            return self._asked()
        finally:
            self._asking = False

    def _asked(self) -> float:
        began = time.monotonic()
        try:
            answer = self._ask(None)
        except _Late:
            with self._lock:
                if not self._rate or time.monotonic() - self._asked_at > PATIENCE_S:
                    raise
                return self._worked_out()
        with self._lock:
            self._set(answer)
            # It was true about half-way between question and answer.
            self._asked_at = (began + self._asked_at) / 2
            return self._worked_out()

    def _worked_out(self) -> float:
        age = time.monotonic() - self._asked_at
        self._latest = max(self._latest, self._then + age * self._rate)
        return self._latest

    def _poll(self, until: float) -> None:
        answer = self._ask(until)
        with self._lock:
            self._set(answer)
        if answer[0] < until:
            time.sleep(POLL_PAUSE_S)

    def _set(self, answer: tuple[float, float]) -> None:
        self._then, self._rate = answer
        self._asked_at = time.monotonic()

    def _ask(self, until: float | None) -> tuple[float, float]:
        """Return ``now`` and ``rate`` as answered; with ``until`` the answer may take 25 s."""
        query = "" if until is None else "?" + urlencode({"until": repr(until)})
        timeout = ANSWER_TIMEOUT_S if until is None else POLL_TIMEOUT_S
        try:
            with self._opener.open(self._url + query, timeout=timeout) as reply:
                document = json.loads(reply.read(10_000))
            return _number(document, "now"), _number(document, "rate")
        except urllib.error.HTTPError as error:
            error.close()
            self._give_up(f"it answered HTTP {error.code}")
        except TimeoutError:
            self._give_up("timed out", _Late)
        except urllib.error.URLError as error:
            late = isinstance(error.reason, TimeoutError)
            self._give_up(str(error.reason), _Late if late else SandboxError)
        except (OSError, HTTPException) as error:
            self._give_up(str(error) or type(error).__name__)
        except (ValueError, TypeError, KeyError):
            self._give_up('it did not answer with {"now": ..., "rate": ...}')

    def _give_up(self, why: str, kind: type[SandboxError] = SandboxError) -> NoReturn:
        raise kind(
            f"the clock at {self._url} ({VARIABLE}) cannot be read: {why}", hint=HINT
        ) from None


class _Late(SandboxError):
    """It is there, and has not answered in time: a busy machine, or one that hangs."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        """Nowhere."""


def _number(document: Any, key: str) -> float:
    value = float(document[key])
    largest = FASTEST if key == "rate" else datetime.max.replace(tzinfo=UTC).timestamp() - 1
    if not 0 <= value <= largest:
        raise ValueError(key)
    return value


def _check_loopback(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if parts.scheme != "http" or not loopback or parts.query or parts.fragment:
        raise UsageError(
            f"{VARIABLE} is {url!r}; it must be an http URL on this machine, as "
            "http://127.0.0.1:PORT/...",
            hint='it is for the sandbox: eval "$(fleet sandbox env)"',
        )
