"""A server that answers what a test wrote down, in order: what no well-behaved AWS would do."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DATE = "Sun, 22 Nov 2026 12:00:00 GMT"

Answer = Callable[[BaseHTTPRequestHandler], None]


def reply(
    body: bytes | Mapping[str, Any],
    status: int = 200,
    *,
    length: int | None = None,
    content_type: str = "application/x-amz-json-1.1",
    date: str | None = DATE,
) -> Answer:
    """Answer with this; ``length`` announces another length than the body has."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response_only(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.send_header("x-amzn-RequestId", "request-1")
        if date is not None:
            handler.send_header("Date", date)
        handler.end_headers()
        handler.wfile.write(content)
        handler.close_connection = length is not None

    return answer


def fault(code: str, message: str = "said so", status: int = 400) -> Answer:
    """An error as AWS's JSON services answer it."""
    return reply({"__type": code, "message": message}, status)


def html(status: int) -> Answer:
    """A page of a proxy, or of a server that fell over."""
    return reply(b"<html><body>Oops</body></html>", status, content_type="text/html")


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Drop the connection without an answer."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.close_connection = True


@dataclass
class Canned:
    """The server's memory.

    Attributes:
        answers: what to answer, first to last; the last one again for ever.
        asked: the headers of every request, under lower-case names.
        bodies: the body of every request.
        let_go: set it to end every ``hang``.
    """

    answers: list[Answer] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def hang(self, handler: BaseHTTPRequestHandler) -> None:
        """Take the request and say nothing."""
        self.let_go.wait(20)
        handler.close_connection = True

    @property
    def targets(self) -> list[str]:
        """``X-Amz-Target`` of every request."""
        return [headers.get("x-amz-target", "") for headers in self.asked]


@contextmanager
def serving(canned: Canned) -> Iterator[Canned]:
    """Serve on a free loopback port."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body go in two writes; the second would wait 40 ms for the client's ACK.
        disable_nagle_algorithm = True

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            with lock:
                canned.bodies.append(self.rfile.read(length))
                canned.asked.append({k.lower(): v for k, v in self.headers.items()})
                chosen = canned.answers[0]
                if len(canned.answers) > 1:
                    del canned.answers[0]
            chosen(self)

        do_GET = do_POST = answer  # noqa: N815 - the names that http.server calls

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    canned.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield canned
    finally:
        canned.let_go.set()
        server.shutdown()
        thread.join()
        server.server_close()
