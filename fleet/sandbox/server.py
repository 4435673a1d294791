"""Serves every AWS service and the sandbox's controls on one port of 127.0.0.1.

AWS's services answer on every path (``plane.front``) but below ``/_sandbox/``: there is the control
API, which answers JSON:

    GET  clock                 {"now": epoch seconds, "rate": sandbox seconds per second}
    GET  clock?until=T         the same, once T is reached or after 25 real seconds
    POST clock/advance         {"seconds": S}
    GET  status                counts
    POST faults                the arguments of ``Faults.add``, or {"clear": true}
    POST stop                  asks the process to end

A browser must not be able to drive it: requests for another host name, requests with an Origin,
and control requests other than GET without ``X-Fleet-Sandbox: 1`` are refused.
"""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Any

from aiohttp import web

from fleet.errors import FleetError, SandboxError, UsageError
from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.aws_http import AwsHttp
from fleet.sandbox.control_plane.engine import ControlPlane
from fleet.sandbox.control_plane.faults import ConnectionDropped
from fleet.sandbox.control_plane.wire import json_body

_LOG = logging.getLogger(__name__)
_HOSTS = {"127.0.0.1", "localhost", "[::1]"}
_CONTROL = "/_sandbox/"
_LONGEST_POLL_S = 25.0
_POLL_S = 0.02
_LARGEST_BODY = 64 * 1024 * 1024
_HANDLER_THREADS = 16
# A stop does not wait longer than this for answers that are still being given.
_GOODBYE_S = 1.0

ControlHandler = Callable[[dict[str, Any]], dict[str, Any]]


class SandboxServer:
    """Serves a control plane from a thread of its own.

    Args:
        plane: answered for; its ``endpoint`` is set to this server's address.
        port: 0 takes any free one.
        extra: more handlers of the control API, by method and path below ``/_sandbox/`` (as
            ``("POST", "cut")``). Each is called in a worker thread with the query (GET) or the
            JSON body (POST, PUT) and returns what is answered; a FleetError becomes a 400 with its
            message and hint.
    """

    def __init__(
        self,
        plane: ControlPlane,
        *,
        port: int = 0,
        extra: Mapping[tuple[str, str], ControlHandler] | None = None,
    ) -> None:
        self.plane = plane
        self.port = port
        self._handlers: dict[tuple[str, str], ControlHandler] = {
            ("POST", "clock/advance"): self._advance,
            ("GET", "status"): self._status,
            ("POST", "faults"): self._faults,
            ("POST", "stop"): self._ask_to_stop,
        }
        for (method, path), handler in (extra or {}).items():
            self._handlers[method, path.removeprefix(_CONTROL).strip("/")] = handler
        self._asked_to_stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._workers = ThreadPoolExecutor(_HANDLER_THREADS, thread_name_prefix="sandbox")
        self._aws = AwsHttp(plane, self._workers)

    @property
    def url(self) -> str:
        """Return ``http://127.0.0.1:PORT``, for AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, and return once requests are answered.

        Raises:
            SandboxError: the port is taken.
        """
        started: list[BaseException | None] = []
        ready = threading.Event()

        def begun(error: BaseException | None) -> None:
            started.append(error)
            ready.set()

        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(begun)), name="sandbox-http", daemon=True
        )
        self._thread.start()
        ready.wait()
        if (error := started[0]) is not None:
            self.stop()
            raise SandboxError(
                f"the sandbox cannot listen on 127.0.0.1:{self.port}: {error}",
                hint="stop what is using the port, or let the sandbox take any free one",
            ) from error
        self.plane.endpoint = self.url

    def stop(self) -> None:
        """Stop listening and end the thread; the control plane stays usable."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._ending is not None:
            self._loop.call_soon_threadsafe(self._ending.set)
        thread.join()
        self._workers.shutdown(cancel_futures=True)
        self._asked_to_stop.set()

    def wait_for_stop(self, timeout: float | None = None) -> bool:
        """Wait until somebody posts ``stop`` (or calls it); False after ``timeout`` seconds."""
        return self._asked_to_stop.wait(timeout)

    async def _serve(self, begun: Callable[[BaseException | None], None]) -> None:
        self._ending = asyncio.Event()
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GOODBYE_S)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", self.port)
            try:
                await site.start()
            except OSError as error:
                begun(error)
                return
            self.port = runner.addresses[0][1]
            self._loop = asyncio.get_running_loop()
            begun(None)
            await self._ending.wait()
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Host", "").rsplit(":", 1)[0] not in _HOSTS:
            return self._plain(403, "this server answers for 127.0.0.1 only")
        if "Origin" in request.headers:
            return self._plain(403, "this server does not answer to web pages")
        try:
            if request.path.startswith(_CONTROL):
                return await self._control(request)
            return await self._aws.answer(request)
        except ConnectionDropped:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        except ConnectionResetError:
            return web.Response()  # whoever asked was killed half-way; nobody reads this
        except SandboxError as error:
            return self._plain(503, error.in_full)
        except web.HTTPException:
            raise
        except Exception:  # noqa: BLE001 - a 500 and a log line, not a dead server
            _LOG.exception("the sandbox failed over a request to %s", request.path)
            return self._plain(500, "the sandbox failed over this request; see its log")

    async def _control(self, request: web.Request) -> web.Response:
        path = request.path.removeprefix(_CONTROL).strip("/")
        if request.method != "GET" and request.headers.get("X-Fleet-Sandbox") != "1":
            return self._plain(403, "control requests need the header X-Fleet-Sandbox: 1")
        if (request.method, path) == ("GET", "clock"):
            return await self._clock(request)
        handler = self._handlers.get((request.method, path))
        if handler is None:
            return self._plain(404, f"the sandbox has no control {request.method} {path}")
        try:
            if request.method == "GET":
                values: dict[str, Any] = dict(request.query)
            else:
                values = json_body(await request.read())
            answer = await asyncio.get_running_loop().run_in_executor(
                self._workers, handler, values
            )
        except (FleetError, AwsFault) as error:
            return self._told(400, {"error": str(error), "hint": getattr(error, "hint", None)})
        return self._told(200, answer)

    async def _clock(self, request: web.Request) -> web.Response:
        clock = self.plane.clock
        until = request.query.get("until")
        if until is not None:
            try:
                moment = float(until)
            except ValueError:
                return self._told(400, {"error": f"until={until!r} is no time", "hint": None})
            give_up = asyncio.get_running_loop().time() + _LONGEST_POLL_S
            while (missing := moment - clock.now()) > 0 and not self._is_ending():
                left = give_up - asyncio.get_running_loop().time()
                if left <= 0:
                    break
                real = missing / clock.rate if clock.rate else _POLL_S
                await asyncio.sleep(min(left, real, _POLL_S))
        return self._told(200, {"now": self.plane.store_time(), "rate": clock.rate})

    def _is_ending(self) -> bool:
        return self._ending is not None and self._ending.is_set()

    def _advance(self, body: dict[str, Any]) -> dict[str, Any]:
        seconds = body.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise UsageError(f"seconds must be a number, not {seconds!r}")
        self.plane.clock.advance(seconds)
        return {"now": self.plane.store_time(), "rate": self.plane.clock.rate}

    def _status(self, _: dict[str, Any]) -> dict[str, Any]:
        clock = {"now": self.plane.store_time(), "rate": self.plane.clock.rate}
        return {"clock": clock, "moto": self._aws.moto_loaded, **self.plane.status()}

    def _faults(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("clear") is True:
            self.plane.faults.clear()
            return {}
        try:
            self.plane.faults.add(**body)
        except (TypeError, ValueError) as error:
            raise UsageError(f"this is no fault: {error}") from error
        return {}

    def _ask_to_stop(self, _: dict[str, Any]) -> dict[str, Any]:
        self._asked_to_stop.set()
        return {}

    def _date(self) -> str:
        return formatdate(self.plane.store_time(), usegmt=True)

    def _told(self, status: int, values: Mapping[str, Any]) -> web.Response:
        body = json.dumps(values).encode()
        headers = {"Content-Type": "application/json", "Date": self._date()}
        return web.Response(status=status, body=body, headers=headers)

    def _plain(self, status: int, text: str) -> web.Response:
        return web.Response(status=status, text=f"{text}\n")
