"""Steady load on the API: `python -m tests.load URL FOLDER`.

Reads `FOLDER/expected.json` (version → series → numbers), asks on eight keep-alive connections
until `FOLDER/stop` exists, and writes what it saw to `FOLDER/seen.json`, renewed every second.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CONNECTIONS = 8
MANY = 10  # every tenth request asks for all series at once


class Client:
    """One keep-alive connection that asks again and again."""

    def __init__(self, url: str, expected: dict[str, Any], seen: Counter[str]) -> None:
        """Name the service; nothing is connected yet."""
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.expected, self.seen = expected, seen
        self.streams: Any = None
        self.asked = 0

    async def ask(self, request: bytes) -> None:
        """Ask once and check the answer; a connection closed before any byte is tried anew."""
        reused = self.streams is not None
        try:
            if not reused:
                self.streams = await asyncio.open_connection(self.host, self.port)
            reader, writer = self.streams
            writer.write(request)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError) as error:
            partial = getattr(error, "partial", b"")
            self.streams = None
            self.seen["retried" if reused and not partial else f"failed: {error!r}"] += 1
            if reused and not partial:
                await self.ask(request)
            return
        await self.check(head.lower())

    async def check(self, head: bytes) -> None:
        """Read the rest of an answer and compare its numbers with those of its version."""
        reader, writer = self.streams
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        if b"connection: close" in head:
            writer.close()
            self.streams = None
        if not head.startswith(b"http/1.1 200"):
            self.seen[f"failed: {head[:12]!r}"] += 1
            return
        answer = json.loads(body)
        version = answer["model_version"]
        self.seen[f"version {version}"] += 1
        for one in answer["forecasts"]:
            numbers = [[day["mean"], day["stock_target"]] for day in one["days"]]
            if self.expected[version][f"{one['store_id']}/{one['item_id']}"] != numbers:
                self.seen["disagreed"] += 1
        self.seen["answered"] += 1

    async def go_on(self, stop: Path) -> None:
        """Ask until told to stop."""
        series = list(next(iter(self.expected.values())))
        keys = [dict(zip(("store_id", "item_id"), key.split("/"), strict=True)) for key in series]
        body = json.dumps({"series": keys}).encode()
        head = f"Host: {self.host}:{self.port}\r\n"
        many = f"POST /v1/forecasts HTTP/1.1\r\n{head}Content-Type: application/json\r\n"
        many += f"Content-Length: {len(body)}\r\n\r\n"
        while not (self.asked % 100 == 0 and stop.exists()):
            self.asked += 1
            one = f"GET /v1/forecasts/{series[self.asked % len(series)]} HTTP/1.1\r\n{head}\r\n"
            await self.ask(one.encode() if self.asked % MANY else many.encode() + body)


async def run(url: str, folder: Path) -> None:
    """Ask on every connection until told to stop, and write what was seen."""
    expected = json.loads((folder / "expected.json").read_text())
    seen: Counter[str] = Counter()
    clients = [Client(url, expected, seen) for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    work = asyncio.gather(*(client.go_on(folder / "stop") for client in clients))
    while not work.done():
        await asyncio.wait([work], timeout=1)
        seconds = {"seconds": time.perf_counter() - started}
        (folder / "seen.part").write_text(json.dumps(seen | seconds))
        (folder / "seen.part").replace(folder / "seen.json")
    await work


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2])))
