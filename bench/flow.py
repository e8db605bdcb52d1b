"""`make bench-flow`: what Prefect costs a life cycle, and what a life cycle costs a machine.

The same command runs under both engines in turn, each in a process of its own, from its start to
its end. The server is started once beforehand and measured aside.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from bench.retail import Figure, publish
from tests.prefect_server import prefect_server

ROOT = Path(__file__).parent.parent
ROUNDS = 2
CLI = [sys.executable, "-c", "from salescast.cli import main; main()"]
CORE = (
    "salescast.evaluation.backtest, salescast.release.issuing, salescast.evaluation.gate, "
    "salescast.monitoring.live_scores"
)
HEAVY = ("great_expectations", "mlflow", "prefect")
LOOK = f"import sys, api.main; print(sum(name in sys.modules for name in {HEAVY}))"


@dataclass(frozen=True)
class Spent:
    """Wall seconds of a command from start to end, and the most memory its processes held."""

    seconds: float
    peak_gb: float


def spend(command: list[str], variables: Mapping[str, str]) -> Spent:
    """Run a command to its end and measure it, with every process it started.

    Memory is the sum of resident sets: pages that processes share count for each of them.
    """
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        process = psutil.Popen(
            command, cwd=ROOT, env=os.environ | variables, stdout=log, stderr=log
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, _resident(process))
            time.sleep(0.05)
        seconds = time.perf_counter() - start
        log.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {log.read()}")
    return Spent(seconds, peak / 2**30)


def _resident(process: psutil.Process) -> int:
    total = 0
    with suppress(psutil.NoSuchProcess):
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += one.memory_info().rss
    return total


def life(engine: str, variables: Mapping[str, str]) -> Spent:
    """Run the life cycle on a copy of the embedded data."""
    words = ["run", "--engine", engine, "--workspace", f"build/bench/{engine}", "--json"]
    return spend([*CLI, *words], variables)


def figures() -> Iterator[Figure]:
    """Measure the engines in turn, then a newcomer's first run and the imports."""
    with tempfile.TemporaryDirectory() as folder:
        home, fresh = Path(folder), Path(folder) / "fresh"
        start = time.perf_counter()
        with prefect_server(home) as server:
            seconds = time.perf_counter() - start
            served = {"PREFECT_HOME": str(home), "PREFECT_API_URL": server.api}
            pairs = [(life("inline", {}), life("prefect", served)) for _ in range(ROUNDS)]
        first = life("prefect", {"PREFECT_HOME": str(fresh)})
    ratio = median(prefect.seconds / inline.seconds for inline, prefect in pairs)
    yield Figure("life cycle: Prefect ÷ bare", ratio, bar="≤ 1.5")
    yield Figure("life cycle: bare", median(inline.seconds for inline, _ in pairs), "s")
    yield Figure("life cycle: Prefect", median(prefect.seconds for _, prefect in pairs), "s")
    yield Figure("server start, measured aside", seconds, "s")
    yield Figure("first run, server and all", first.seconds, "s", "≤ 90")
    yield Figure("first run, peak memory of all processes", first.peak_gb, "GB", "≤ 2")
    core = min(spend([sys.executable, "-c", f"import {CORE}"], {}).seconds for _ in range(ROUNDS))
    yield Figure("import of the core, interpreter and all", core, "s", "≤ 1.5")
    yield Figure("heavy imports on the API's path", _heavy(), "", "≤ 0")


def _heavy() -> int:
    command = [sys.executable, "-c", LOOK]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)  # noqa: S603 - ours


if __name__ == "__main__":
    sys.exit(0 if publish("flow", figures()) else 1)
