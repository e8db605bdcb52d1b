"""Rules for every request and connection: ids, size and time limits, headers, a clean shutdown."""

import asyncio
import json
import logging
import re
import secrets
import signal
import socket
import threading
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any

import h11
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.access import Access, Refused
from api.problems import MEDIA_TYPE, STATUSES, problem
from api.prometheus import Metrics

MAX_BODY_BYTES = 512 * 1024  # 1,000 series with the longest ids fit
MAX_HEAD_BYTES = 16 * 1024
MAX_DRAINED_BYTES = 16 * MAX_BODY_BYTES
BODY_SECONDS = 10.0  # for the next part of a body
SAFE_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
log = logging.getLogger("salescast.api")


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, metrics: Metrics, access: Access) -> None:
        """Wrap `app`; `metrics` counts the answers, `access` admits or refuses callers."""
        self._app, self._metrics, self._access = app, metrics, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = headers.get("x-request-id", "")
        if not SAFE_ID.fullmatch(request_id):
            request_id = secrets.token_hex(16)
        answer = _Answer(send, request_id)
        started = time.perf_counter()
        try:
            if _head_bytes(scope) > MAX_HEAD_BYTES:
                raise Refused(431, {"Connection": "close"})
            answer.extra = self._access.admit(scope, headers, time.monotonic())
            await self._app(scope, _limited(receive, _declared(headers)), answer.send)
        except Refused as refusal:
            answer.extra = refusal.headers
            status = refusal.status
            await problem(status, STATUSES[status])(scope, receive, answer.send)
        except Exception:
            log.exception("request %s failed", answer.request_id)
            if answer.status:  # the answer has begun; the server closes the connection
                raise
            await problem(500, STATUSES[500], slug="internal-error")(scope, receive, answer.send)
        finally:
            seconds = time.perf_counter() - started
            self._metrics.count(scope, answer.status, seconds)
            _log(scope, answer, seconds)


class _Answer:
    """Adds headers to an answer and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self.request_id, self.status = send, request_id, 0
        self.extra: Mapping[str, str] = {}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self.request_id
            for name, value in self.extra.items():
                headers[name] = value
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def _head_bytes(scope: Scope) -> int:
    """Return the size of address and headers; uvicorn's limit misses a single packet."""
    address = len(scope["raw_path"] or b"") + len(scope["query_string"])
    return address + sum(len(name) + len(value) for name, value in scope["headers"])


def _declared(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() and len(length) < 20 else 0


def _limited(receive: Receive, declared: int) -> Receive:
    """Return `receive` that raises 413 for too large a body, and 408 for one that stalls."""
    total, complete = 0, False

    async def limited() -> Message:
        nonlocal total, complete
        try:
            async with asyncio.timeout(None if complete else BODY_SECONDS):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, headers={"Connection": "close"}) from None
        total += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if max(total, declared) > MAX_BODY_BYTES:
            await _drain(receive, message)
            raise HTTPException(413, headers={"Connection": "close"})
        return message

    return limited


async def _drain(receive: Receive, message: Message) -> None:
    # A caller that is still sending when the connection closes would not see the answer.
    discarded = 0
    while message.get("more_body") and discarded < MAX_DRAINED_BYTES:
        message = await receive()
        discarded += len(message.get("body", b""))


def _log(scope: Scope, answer: _Answer, seconds: float) -> None:
    # Probes arrive every second and would hide the rest.
    level = logging.DEBUG if scope["path"].startswith("/healthz") else logging.INFO
    if log.isEnabledFor(level):
        line: dict[str, Any] = {
            "request_id": answer.request_id,
            "caller": scope.get("caller", "anyone"),
            "method": scope["method"][:20],
            "path": scope["path"][:200],
            "status": answer.status,
            "ms": round(1000 * seconds, 2),
        }
        log.log(level, json.dumps(line))


def drain_before_exit(draining: threading.Event, seconds: float) -> None:
    """Let SIGTERM set `draining` and reach the server only `seconds` later.

    Call it within the running loop, after the server has set its handlers. Ctrl-C ends at once.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # a server in a thread gets no signals
    server, loop = signal.getsignal(signal.SIGTERM), asyncio.get_running_loop()
    if not callable(server):
        return

    def end(number: int, frame: FrameType | None) -> None:
        log.info("draining for %g s", seconds)
        draining.set()
        loop.call_soon_threadsafe(loop.call_later, seconds, server, number, frame)

    signal.signal(signal.SIGTERM, end)


class CloseConnections:
    """ASGI middleware that closes connections while the process drains."""

    def __init__(self, app: ASGIApp, draining: threading.Event) -> None:
        """Wrap `app`."""
        self._app, self._draining = app, draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; a keep-alive client then reconnects, to another process."""

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and self._draining.is_set():
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, receive, closing)


NO_HTTP = "This is not an HTTP request, or its headers are larger than 16 KiB."
HEAD_SECONDS = 10.0  # for the first line and the headers of a request


class PatientProtocol(H11Protocol):
    """One connection; it is closed when the headers of a request do not arrive in time."""

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for a request."""
        super().connection_made(transport)
        # asyncio does this for sockets that it opened; without it headers and body of an answer
        # are sent 40 ms apart (Nagle's algorithm meets delayed acknowledgement).
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Read a part of a request; after its headers the application limits the time."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._limit is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text is not a problem
        """Answer invalid HTTP or headers beyond 16 KiB with a problem, and close."""
        about = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": NO_HTTP}
        headers = [("content-type", MEDIA_TYPE), ("connection", "close")]
        answer = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        for event in (answer, h11.Data(data=json.dumps(about).encode()), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _wait(self) -> None:
        self._limit = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
