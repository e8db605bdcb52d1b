"""uvicorn's HTTP protocol with a time limit for headers and problems for invalid HTTP."""

import asyncio
import json
import socket

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.problems import MEDIA_TYPE

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
