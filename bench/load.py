"""Load on one HTTP server: connections that ask again as soon as they are answered.

`python -m bench.load` reads {"port", "request", "connections", "seconds"} as JSON from stdin and
prints the seconds each answer took; in a process of its own, so that it costs the server nothing.
"""

import asyncio
import json
import re
import sys
import time
from typing import Any

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
HOST = "127.0.0.1"


class Caller(asyncio.Protocol):
    """One connection that sends `request` again and again until the time is over."""

    def __init__(self, request: bytes, until: float) -> None:
        """Say what to send, and until when (of `time.perf_counter`)."""
        self.request, self.until = request, until
        self.took: list[float] = []
        self.failed = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer, self.expected = b"", 0

    def connection_made(self, transport: Any) -> None:
        """Send the first request."""
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        """Send a request, or stop."""
        self.sent = time.perf_counter()
        if self.sent >= self.until:
            self.transport.close()
            return
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Take in an answer; once it is whole, ask again."""
        self.buffer += data
        if not self.expected:
            head = self.buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            length = LENGTH.search(self.buffer, 0, head + 2)
            self.expected = head + 4 + (int(length[1]) if length else 0)
        if len(self.buffer) >= self.expected:
            self.took.append(time.perf_counter() - self.sent)
            self.failed += not self.buffer.startswith(b"HTTP/1.1 200")
            self.buffer, self.expected = b"", 0
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """End; a connection that was lost too early is a failure."""
        self.failed += time.perf_counter() < self.until
        if not self.done.done():
            self.done.set_result(None)


async def load(port: int, request: bytes, connections: int, seconds: float) -> dict[str, Any]:
    """Return the seconds that answers took, how many failed, and answers per second."""
    loop, start = asyncio.get_running_loop(), time.perf_counter()
    callers = [Caller(request, start + seconds) for _ in range(connections)]
    for one in callers:
        await loop.create_connection(lambda one=one: one, HOST, port)  # type: ignore[misc]
    await asyncio.gather(*(one.done for one in callers))
    took = sorted(second for one in callers for second in one.took)
    wall = time.perf_counter() - start
    return {"took": took, "failed": sum(one.failed for one in callers), "rate": len(took) / wall}


def main() -> int:
    """Load the server that stdin names and print what was measured."""
    asked = json.load(sys.stdin)
    request = asked["request"].encode("latin-1")
    print(
        json.dumps(
            asyncio.run(load(asked["port"], request, asked["connections"], asked["seconds"]))
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
