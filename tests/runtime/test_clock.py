import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from fleet.errors import SandboxError, UsageError
from fleet.model.clock import SystemClock
from fleet.runtime import clock as module
from fleet.runtime.clock import RemoteClock, clock_from_environment

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp()


class FakeClock:
    """Answers as a sandbox's clock does; time moves only when it is told to."""

    def __init__(self, rate: float = 0.0) -> None:
        self.time = NOON
        self.rate = rate
        self.asked: list[float | None] = []
        self.moved = threading.Condition()
        self.answer: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.url = ""

    def advance(self, seconds: float) -> None:
        with self.moved:
            self.time += seconds
            self.moved.notify_all()

    def document(self, query: str) -> bytes:
        until = parse_qs(query).get("until")
        moment = float(until[0]) if until else None
        with self.moved:
            self.asked.append(moment)
            self.moved.notify_all()
            if moment is not None:
                self.moved.wait_for(lambda: self.time >= moment, timeout=10)
            return json.dumps({"now": self.time, "rate": self.rate}).encode()

    def wait_until_polled(self) -> None:
        with self.moved:
            assert self.moved.wait_for(lambda: any(self.asked), timeout=10)


@contextmanager
def serving(fake: FakeClock) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if fake.answer is not None:
                fake.answer(self)
                return
            body = fake.document(urlsplit(self.path).query)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}/_sandbox/clock"
    try:
        yield fake.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def fake() -> Iterator[FakeClock]:
    fake = FakeClock()
    with serving(fake):
        yield fake


@pytest.fixture
def real_seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Real time by hand: a list of the sleeps, which are what moves it."""
    slept: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: sum(slept))
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


def test_without_the_variable_it_is_the_machines_clock() -> None:
    assert isinstance(clock_from_environment(), SystemClock)


def test_with_the_variable_it_is_the_one_named(
    fake: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_CLOCK", fake.url)
    assert clock_from_environment().now() == datetime.fromtimestamp(NOON, UTC)


def test_a_stepped_clock_stands_until_it_is_advanced(fake: FakeClock) -> None:
    clock = RemoteClock(fake.url)
    before = clock.now()
    assert clock.now() == before
    fake.advance(3600)
    assert (clock.now() - before).total_seconds() == 3600


def test_sleeping_on_a_stepped_clock_ends_when_it_gets_there(fake: FakeClock) -> None:
    clock = RemoteClock(fake.url)
    sleeper = threading.Thread(target=clock.sleep, args=(60,))
    sleeper.start()
    fake.wait_until_polled()
    fake.advance(59)
    assert sleeper.is_alive()
    fake.advance(1)
    sleeper.join(timeout=10)
    assert not sleeper.is_alive()


def test_sleeping_not_at_all_asks_for_no_waiting(fake: FakeClock) -> None:
    RemoteClock(fake.url).sleep(-5)
    assert not any(fake.asked)


def test_an_accelerated_clock_is_worked_out_between_answers(
    fake: FakeClock, real_seconds: list[float]
) -> None:
    fake.rate = 20.0
    clock = RemoteClock(fake.url)
    real_seconds.append(1.5)
    assert clock.now().timestamp() == pytest.approx(NOON + 30)
    assert len(fake.asked) == 1


def test_an_answer_is_good_for_two_real_seconds_only(
    fake: FakeClock, real_seconds: list[float]
) -> None:
    fake.rate = 20.0
    clock = RemoteClock(fake.url)
    real_seconds.append(2.1)
    fake.advance(500)
    assert clock.now().timestamp() == NOON + 500


def test_sleeping_on_an_accelerated_clock_takes_less_real_time(
    fake: FakeClock, real_seconds: list[float]
) -> None:
    fake.rate = 20.0
    RemoteClock(fake.url).sleep(30)
    assert sum(real_seconds) == pytest.approx(1.5)


def test_it_never_goes_backwards(fake: FakeClock) -> None:
    clock = RemoteClock(fake.url)
    before = clock.now()
    fake.advance(-7200)
    assert clock.now() == before


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.7:80/clock",
        "http://fleet.example/clock",
        "http://127.0.0.1.example/clock",
        "https://127.0.0.1/clock",
        "file:///etc/passwd",
        "127.0.0.1:4000",
        "",
    ],
)
def test_a_url_that_is_not_of_this_machine_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="on this machine"):
        RemoteClock(url)


def test_a_sandbox_that_is_gone_is_a_clear_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/clock"
    with pytest.raises(SandboxError, match=r"cannot be read: .*refused") as raised:
        RemoteClock(url)
    assert "fleet sandbox" in str(raised.value.hint)


def test_a_sandbox_that_goes_away_midway_is_a_clear_error() -> None:
    fake = FakeClock()
    with serving(fake):
        clock = RemoteClock(fake.url)
    with pytest.raises(SandboxError, match="cannot be read"):
        clock.now()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"now": 1}',
        b'{"now": "soon", "rate": 1}',
        b'{"now": NaN, "rate": 1}',
        b'{"now": 1e300, "rate": 1}',
        b'{"now": 1, "rate": -1}',
        b'{"now": 1, "rate": Infinity}',
        b"\xff",
    ],
)
def test_an_answer_that_is_no_clocks_is_a_clear_error(fake: FakeClock, body: bytes) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(body)

    fake.answer = answer
    with pytest.raises(SandboxError, match="did not answer with"):
        RemoteClock(fake.url)


def test_an_http_error_is_a_clear_error(fake: FakeClock) -> None:
    fake.answer = lambda handler: handler.send_error(503)
    with pytest.raises(SandboxError, match="HTTP 503"):
        RemoteClock(fake.url)


def test_an_answer_cannot_lead_off_this_machine(fake: FakeClock) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "http://192.0.2.7/clock")
        handler.end_headers()

    fake.answer = answer
    with pytest.raises(SandboxError, match="HTTP 302"):
        RemoteClock(fake.url)


def test_a_proxy_of_the_environment_is_not_used(
    fake: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert RemoteClock(fake.url).now().timestamp() == NOON


def test_a_clock_that_hangs_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/clock"
        with pytest.raises(SandboxError, match="timed out"):
            RemoteClock(url)


def test_a_running_clock_that_answers_late_is_worked_out_for_a_minute(
    fake: FakeClock, real_seconds: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.rate = 20.0
    clock = RemoteClock(fake.url)

    def late(*_: Any, **__: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(clock._opener, "open", late)
    real_seconds.append(59.0)
    assert clock.now().timestamp() == NOON + 59 * 20
    real_seconds.append(2.0)
    with pytest.raises(SandboxError, match="timed out"):
        clock.now()


def test_nobody_waits_for_an_answer_that_another_thread_waits_for(
    fake: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SYNC_EVERY_S", 0.0)
    fake.rate = 1.0
    clock = RemoteClock(fake.url)
    held, answer = threading.Event(), threading.Event()

    def slow(handler: Any) -> None:
        held.set()
        answer.wait(10)
        fake.answer = None
        handler.do_GET()

    fake.answer = slow
    asking = threading.Thread(target=clock.now)
    asking.start()
    assert held.wait(10)
    assert clock.now().timestamp() >= NOON
    answer.set()
    asking.join(10)


def test_many_threads_see_time_go_forwards_only(fake: FakeClock) -> None:
    clock = RemoteClock(fake.url)
    ordered: list[bool] = []

    def look() -> None:
        seen = [clock.now() for _ in range(20)]
        ordered.append(seen == sorted(seen))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        fake.advance(1)
    for thread in threads:
        thread.join()
    assert ordered == [True] * 4
