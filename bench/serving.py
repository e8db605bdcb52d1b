"""`make bench-serving`: one forecast of 14 days over HTTP, by us and by three others.

The same released model answers in each, one process each, to the same 8 connections, in turns. We
look forecasts up by series; MLflow's server and the plain FastAPI are sent the 14 feature rows, as
they must be. The ceiling is FastAPI sending our answer as constant bytes: no program on this stack
can answer faster. What monitoring costs is timed within one process: two processes of the same
program differ by more.
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from statistics import median
from timeit import timeit
from typing import Any

from starlette.routing import Route

from api.prometheus import Metrics
from bench.flow import CLI, ROOT, spend
from bench.retail import CONFIG, FOLDER, Figure, publish
from salescast import registry
from salescast.contract import schema
from salescast.data import store
from salescast.features import point_in_time
from salescast.settings import CONFIG_VARIABLE, Settings, read_settings
from tests.prefect_server import process_of, wait

CONNECTIONS, SECONDS, ROUNDS = 8, 4.0, 5
WORKSPACE = FOLDER / "serving"
PRODUCT, MLFLOW, PLAIN, CEILING = "ours", "mlflow models serve", "FastAPI + DataFrame", "constant"


@dataclass(frozen=True)
class Server:
    """How to start a server, and what to ask it."""

    command: list[str]
    path: str
    body: str
    alive: str = "/healthz/ready"

    def request(self, port: int) -> str:
        """Return the request as it goes over the wire."""
        head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        kind = f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n\r\n"
        return head + kind + self.body


def workspace() -> Settings:
    """Return a workspace whose life cycle has run, with a champion; made anew for a new config."""
    config = WORKSPACE / "config.toml"
    same = config.exists() and config.read_bytes() == CONFIG.read_bytes()
    if not same or not (WORKSPACE / "build" / "forecasts.parquet").exists():
        where = str(WORKSPACE.relative_to(ROOT))
        spend([*CLI, "run", "--engine", "inline", "--workspace", where, "--json"], {})
    return read_settings(WORKSPACE / "config.toml")


def servers(settings: Settings) -> dict[str, Server]:
    """Return the four, and write what the simple two need."""
    tracking = registry.Registry(settings.mlflow_uri, settings.product.model, settings.artifacts)
    champion = tracking.version("champion")
    assert champion is not None
    payload = tracking.model(champion)
    registry.write_model(WORKSPACE / "build" / "served.skops", payload)
    tables = store.read_all(settings.data)
    contract, origin = payload["contract"], schema.last_day(tables)
    rows = point_in_time.build(tables, [origin], contract["horizon"], contract["weather"])
    rows = rows.head(contract["horizon"])
    split = json.loads(rows.to_json(orient="split", date_format="iso", index=False))
    asked = {name: rows[name].iloc[0] for name in ("store_id", "item_id")}
    python, plain = [sys.executable, "-m"], "bench.servers"
    uvicorn = [*python, "uvicorn", "--log-level", "warning", "--factory"]
    by_key, by_rows = json.dumps({"series": [asked]}), json.dumps({"dataframe_split": split})
    model = f"models:/{settings.product.model}/{champion.number}"
    mlflow = [*python, "mlflow", "models", "serve", "-m", model, "--env-manager", "local"]
    return {
        PRODUCT: Server([*CLI, "serve"], "/v1/forecasts", by_key),
        MLFLOW: Server([*mlflow, "--workers", "1"], "/invocations", by_rows, "/ping"),
        PLAIN: Server([*uvicorn, f"{plain}:frames"], "/forecasts", by_rows, "/docs"),
        CEILING: Server([*uvicorn, f"{plain}:constant"], "/v1/forecasts", by_key, "/docs"),
    }


@contextmanager
def started(server: Server, settings: Settings, log: Path) -> Iterator[int]:
    """Start a server and yield its port once it answers."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {
        CONFIG_VARIABLE: str(settings.root / "config.toml"),
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        "BENCH_ANSWER": str(log.with_name("constant.json")),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = [*server.command, "--port", str(port)]
    with process_of(command, os.environ | variables, log):
        wait(lambda: _answers(f"http://127.0.0.1:{port}{server.alive}"), log, every=0.2)
        yield port


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - loopback
            return True
    except (urllib.error.URLError, OSError):
        return False


def measured(port: int, server: Server, seconds: float = SECONDS) -> dict[str, Any]:
    """Return what one turn of load found, by a process of its own."""
    asked = {"port": port, "request": server.request(port), "connections": CONNECTIONS}
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asked | {"seconds": seconds}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def turns(settings: Settings, rounds: int = ROUNDS, seconds: float = SECONDS) -> dict[str, Any]:
    """Return requests per second and p50, p99 (seconds) by server: medians of turns taken."""
    found: dict[str, list[dict[str, Any]]] = {}
    with ExitStack() as stack:
        ports = {}
        for name, server in servers(settings).items():
            log = WORKSPACE / "build" / f"{len(ports)}.log"
            ports[name] = stack.enter_context(started(server, settings, log)), server
            if name == PRODUCT:
                _keep_answer(ports[name][0], server, log.with_name("constant.json"))
        for turn in range(rounds + 1):
            for name, (port, server) in ports.items():
                one = measured(port, server, seconds)
                if turn:  # the first turn warms up
                    found.setdefault(name, []).append(one)
    return {name: _summary(each) for name, each in found.items()}


def _keep_answer(port: int, server: Server, path: Path) -> None:
    head = {"Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}{server.path}"
    asked = urllib.request.Request(url, server.body.encode(), head)
    with urllib.request.urlopen(asked) as answer:  # noqa: S310
        path.write_bytes(answer.read())


def _summary(each: list[Mapping[str, Any]]) -> dict[str, float]:
    if sum(one["failed"] for one in each):
        raise SystemExit(f"{sum(one['failed'] for one in each)} answers were no 200")
    at = {"p50": 0.5, "p99": 0.99}
    return {"rate": median(one["rate"] for one in each)} | {
        name: median(one["took"][int(share * len(one["took"]))] for one in each)
        for name, share in at.items()
    }


def counting_seconds(calls: int = 100_000) -> float:
    """Return how long it takes to count one answered request."""
    metrics, scope = Metrics(), {"route": Route("/v1/forecasts", print), "method": "POST"}
    return timeit(lambda: metrics.count(scope, 200, 0.002), number=calls) / calls


def figures() -> Iterator[Figure]:
    """Measure all four, then compare."""
    found = turns(workspace())
    product, ceiling = found[PRODUCT], found[CEILING]
    yield Figure("ours ÷ mlflow models serve", product["rate"] / found[MLFLOW]["rate"], bar="≥ 20")
    yield Figure("ours ÷ constant answer", product["rate"] / ceiling["rate"], bar="≥ 0.5")
    yield Figure("p99: ours ÷ constant answer", product["p99"] / ceiling["p99"], bar="≤ 3")
    share = counting_seconds() * product["rate"]  # of the time that one request takes the process
    yield Figure("what counting costs a request", 100.0 * share, "%", "≤ 3")
    yield Figure("ours ÷ FastAPI + DataFrame", product["rate"] / found[PLAIN]["rate"])
    for name, one in found.items():
        yield Figure(f"{name}: requests", one["rate"], "1/s")
        yield Figure(f"{name}: p50", 1e3 * one["p50"], "ms")
        yield Figure(f"{name}: p99", 1e3 * one["p99"], "ms")


if __name__ == "__main__":
    sys.exit(0 if publish("serving", figures()) else 1)
