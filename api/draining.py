"""A graceful end: the process reports not ready, answers what still arrives, then exits."""

import asyncio
import logging
import signal
import threading
from types import FrameType

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("salescast.api")


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
