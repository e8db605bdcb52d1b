"""Answer: start the API in a separate process and fetch one forecast over HTTP."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from salescast.data.files import read_frame, write_json
from salescast.errors import StoreUnavailableError
from salescast.settings import CONFIG_VARIABLE, Settings

START_SECONDS = 180  # a cold or busy machine imports for minutes


def answer(settings: Settings) -> dict[str, Any]:
    """Start the API as a process of its own and fetch one forecast over a socket, no proxy."""
    rows = read_frame(settings.build / "forecasts.parquet", "forecast")
    series = dict(rows.loc[rows["mean"].idxmax(), ["store_id", "item_id"]])
    with _server(settings) as url:
        request = {"series": [series]}
        reply = httpx.post(f"{url}/v1/forecasts", json=request, timeout=30, trust_env=False)
    if reply.is_error:
        raise StoreUnavailableError(f"the API answers {reply.status_code}: {reply.text[:300]}")
    body = reply.json()
    write_json(settings.build / "answer.json", body)
    receipt = body["forecasts"][0]["receipt_id"]
    names = " × ".join(series.values())
    return {"answer": body, "summary": f"HTTP {reply.status_code}: {names}, receipt {receipt}"}


@contextmanager
def _server(settings: Settings) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "api.main:create_app"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    environment = os.environ | {CONFIG_VARIABLE: str(settings.root / "config.toml")}
    log = settings.build / "answer.log"
    with log.open("w") as errors:
        process = subprocess.Popen(command, env=environment, stderr=errors)  # noqa: S603
    try:
        _wait(process, f"http://127.0.0.1:{port}", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StoreUnavailableError(f"the API did not start: {log.read_text().strip()[-500:]}")
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/healthz/ready", timeout=2, trust_env=False).is_success:
                return
        time.sleep(0.1)
    raise StoreUnavailableError(f"the API was not ready after {START_SECONDS} s")
