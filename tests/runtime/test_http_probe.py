"""URLs on loopback that answer well, badly, slowly, elsewhere or not at all."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fleet.model.signals import ProbeRequest
from fleet.runtime.http_probe import ask_urls


class Shop(BaseHTTPRequestHandler):
    """Answers with the status in the path: ``/500``; notes what was asked."""

    asked: list[str]

    def do_GET(self) -> None:
        """Answer."""
        self.asked.append(self.path)
        word = self.path.strip("/").partition("/")[0]
        if word == "slow":
            time.sleep(0.5)
        if word == "once" and self.asked.count(self.path) == 1:
            word = "503"
        self.send_response(int(word) if word.isdigit() else 200)
        if word == "302":
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"\x1b[31mred")

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@pytest.fixture
def shop() -> Iterator[str]:
    Shop.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def request(url: str, store: str = "s-1", status: int = 200, timeout_s: float = 5) -> ProbeRequest:
    return ProbeRequest("till answers", store, url, status, timeout_s)


def test_a_url_that_answers_as_expected_has_nothing_wrong(shop: str) -> None:
    asked = [request(f"{shop}/200"), request(f"{shop}/204", "s-2", 204)]
    assert list(ask_urls(asked).values()) == ["", ""]
    assert ask_urls([]) == {}


@pytest.mark.parametrize("status", [201, 404, 500])
def test_another_status_is_told_by_its_number_and_nothing_of_the_body_is(
    shop: str, status: int
) -> None:
    assert list(ask_urls([request(f"{shop}/{status}")]).values()) == [f"HTTP {status}"]


def test_a_url_that_fails_once_is_asked_again(shop: str) -> None:
    assert list(ask_urls([request(f"{shop}/once")]).values()) == [""]
    assert Shop.asked == ["/once", "/once"]


def test_a_redirect_is_not_followed(shop: str) -> None:
    assert list(ask_urls([request(f"{shop}/302")]).values()) == ["HTTP 302"]
    assert list(ask_urls([request(f"{shop}/302", status=302)]).values()) == [""]
    assert "/elsewhere" not in Shop.asked


def test_an_answer_that_takes_too_long_is_none(shop: str) -> None:
    assert list(ask_urls([request(f"{shop}/slow", timeout_s=0.1)]).values()) == [
        "no answer within 0s"
    ]


def test_where_nobody_listens_is_no_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (words,) = ask_urls([request(f"http://127.0.0.1:{port}/")]).values()
    assert words == "Connection refused"


def test_what_cannot_be_asked_in_time_is_missing(shop: str) -> None:
    quick = [request(f"{shop}/200", f"q-{number}") for number in range(4)]
    asked = quick + [request(f"{shop}/slow/{number}", f"s-{number}") for number in range(150)]
    found = ask_urls(asked, within_s=2)
    assert 0 < len(found) < len(asked)
    assert set(found.values()) == {""}
