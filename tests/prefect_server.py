"""A Prefect server of one's own, and processes that end with a block."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from scripts.prefect_api import connect

ROOT = Path(__file__).parents[1]
PATIENCE = 180  # seconds; a shared machine starts a server in five to sixty


@dataclass(frozen=True)
class Server:
    """A Prefect server: its address, and the environment in which Prefect finds it."""

    api: str
    environment: dict[str, str]

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the server's answer to a query."""
        with connect(self.api) as client:
            reply = client.post(f"/{path}", json=body or {})
        reply.raise_for_status()
        return reply.json() if reply.content else None

    def prefect(self, *words: str) -> None:
        """Run Prefect's command line in the repository's folder."""
        command = [sys.executable, "-m", "prefect", "--no-prompt", *words]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def prefect_server(home: Path, variables: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start a server on a free port, its things in `home` unless the variables say otherwise."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "salescast",
        "PWD": str(ROOT),  # as a shell sets it
        **(variables or {}),
    }
    server = Server(environment["PREFECT_API_URL"], environment)
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port), "--no-ui"]
    with process_of(command, environment, home / "server.log"):
        wait(lambda: _healthy(server.api), home / "server.log")
        yield server


@contextmanager
def process_of(
    command: list[str], environment: dict[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command, its output in a file, until the block ends."""
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


def wait(done: Callable[[], bool], why: Path | str, every: float = 1.0) -> None:
    """Wait until it is done; fail with the reason, or the end of a log, when patience ends."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, why if isinstance(why, str) else why.read_text()[-3000:]
        time.sleep(every)


def _healthy(api: str) -> bool:
    try:
        return httpx.get(f"{api}/health", timeout=5).is_success
    except httpx.TransportError:
        return False
