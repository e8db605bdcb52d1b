"""Promotions, rollbacks and restarts under load, which nobody notices.

`make soak-swaps` asks a hundred thousand times and writes build/bench/swaps.json.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager

import httpx
import pytest

from bench.retail import Figure, publish  # simulated
from salescast.data import store, versions
from salescast.errors import ProbeFailed
from salescast.release import issue_all, open_bundle
from salescast.settings import CONFIG_VARIABLE, read_settings
from salescast.stages import probe
from salescast.stages.promotion import promote, rollback
from tests.builders import make_tables
from tests.conftest import ROOT
from tests.integration.test_promotion import KINDS, log_version
from tests.releases import make_files
from tests.workspaces import make_workspace

SOAK = os.environ.get("SOAK_SWAPS")
REQUESTS, PROMOTIONS, ROLLBACKS, RESTARTS = map(int, (SOAK or "300,4,1,1").split(","))


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Return a workspace with data and a registry of judged versions whose numbers differ."""
    root = make_workspace(tmp_path_factory.mktemp("swaps") / "shop", {})
    settings = read_settings(root / "config.toml")
    store.append(settings.data, make_tables())
    for number in KINDS:
        log_version(settings, number)
    promote(settings, 1)
    return settings


@contextmanager
def running(settings, listener):
    """Run the API as a process of its own on a socket that stays open whoever answers on it."""
    command = [sys.executable, "-m", "uvicorn", "--factory", "api.main:create_app"]
    command += ["--fd", str(listener.fileno()), "--log-level", "warning", "--no-access-log"]
    environment = os.environ | {CONFIG_VARIABLE: str(settings.root / "config.toml")}
    log = settings.build / f"api-{time.monotonic_ns()}.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command, env=environment, stderr=errors, cwd=ROOT, pass_fds=[listener.fileno()]
        )
    try:
        while "serving model version" not in log.read_text():
            assert process.poll() is None, "the API ended by itself"
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def load(url, folder, settings):
    """Keep asking meanwhile; yield what was seen so far, and in the end all of it."""
    folder.mkdir()
    (folder / "expected.json").write_text(json.dumps(expected(settings)))
    process = subprocess.Popen([sys.executable, "-m", "tests.load", url, str(folder)], cwd=ROOT)
    seen = Counter()

    def look():
        if (folder / "seen.json").exists():
            seen.update(Counter(json.loads((folder / "seen.json").read_text())) - seen)
        return seen

    try:
        while not look()["answered"]:
            assert process.poll() is None
            assert failed(seen) == {}
            time.sleep(0.05)
        yield look
    finally:
        (folder / "stop").touch()
        assert process.wait(timeout=120) == 0
        look()


def expected(settings):
    """Return each version's own numbers, by series."""
    tables = make_tables()
    version = versions.data_version(settings.data)
    expected_answers = {}
    for number, kind in KINDS.items():
        made = issue_all(open_bundle(make_files(kind, str(number)), ""), tables, version)
        expected_answers[str(number)] = {
            "/".join(key): rows[["mean", "stock_target"]].to_numpy().tolist()
            for key, rows in made.groupby(["store_id", "item_id"])
        }
    return expected_answers


@pytest.fixture(scope="module")
def swapped(settings, tmp_path_factory):
    """Return what clients saw while champions changed, and then while processes did."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        folder = tmp_path_factory.mktemp("load")
        with running(settings, listener), load(url, folder / "swaps", settings) as swaps:
            slowest = swap(settings, url)
            spoilt = spoil(settings, url)
            while swaps()["answered"] < REQUESTS:
                time.sleep(0.2)
        with load_while_restarting(settings, listener, url, folder) as restarts:
            pass
    return swaps(), restarts(), slowest, spoilt


@contextmanager
def load_while_restarting(settings, listener, url, folder):
    """Replace the process again and again: the next one is ready before the last one ends."""
    first = running(settings, listener)
    first.__enter__()
    with load(url, folder / "restarts", settings) as seen:
        for _ in range(RESTARTS):
            following = running(settings, listener)
            following.__enter__()
            first.__exit__(None, None, None)
            first = following
    first.__exit__(None, None, None)
    yield seen


def swap(settings, url):
    """Promote and roll back as often as asked; return the seconds of the slowest rollback."""
    slowest, serves = 0.0, 1
    every = PROMOTIONS // max(ROLLBACKS, 1)
    for turn in range(1, PROMOTIONS + 1):
        serves = 1 + turn % len(KINDS)
        promote(settings, serves, url=url)
        if turn % every == 0:
            started = time.perf_counter()
            rollback(settings, url=url)
            slowest = max(slowest, time.perf_counter() - started)
    return slowest


def spoil(settings, url):
    """Promote while the release's own numbers are other ones; return what became of it."""

    def other(*asked):
        return issue_all(*asked).assign(mean=0.5)

    before = httpx.get(f"{url}/v1/model").json()["model_version"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "issue_all", other)
        with pytest.raises(ProbeFailed) as refused:
            promote(settings, 1 + int(before) % len(KINDS), url=url)
    while httpx.get(f"{url}/v1/model").json()["model_version"] != before:
        time.sleep(0.1)
    ready = httpx.get(f"{url}/healthz/ready")
    return str(refused.value), f"rolled back to version {before}", ready.json()


def failed(seen):
    """Return what went wrong, by kind."""
    return {what: count for what, count in seen.items() if what.startswith("failed")}


def test_no_request_fails_while_champions_change(swapped):
    """Every one is answered with 200."""
    assert failed(swapped[0]) == {}
    assert swapped[0]["answered"] >= REQUESTS


def test_no_answer_mixes_versions(swapped):
    """The numbers are those of the version the answer names, and more than one was seen."""
    assert swapped[0]["disagreed"] == swapped[1]["disagreed"] == 0
    assert len([what for what in swapped[0] if what.startswith("version")]) == len(KINDS)


def test_no_request_fails_while_processes_are_replaced(swapped):
    """A connection closed before any byte of the answer may be tried again; nothing else."""
    assert failed(swapped[1]) == {}


def test_a_release_whose_answers_differ_from_its_own_is_taken_back(swapped):
    """Over the socket, by itself; the service is ready all the while."""
    reason, expected, ready = swapped[3]
    assert "are not the release's" in reason
    assert reason.endswith(expected)
    assert ready == {"status": "ok", "degraded": []}


# simulated: from here
def test_the_figures_are_published(swapped):
    """Only by `make soak-swaps`: a small sample is no figure."""
    if SOAK:
        assert publish("swaps", figures(*swapped[:3]))


def figures(swaps, restarts, slowest):
    """Yield what was measured."""
    yield Figure("swaps: promotions", PROMOTIONS, "", "≥ 100")
    yield Figure("swaps: rollbacks", ROLLBACKS, "", "≥ 20")
    yield Figure("swaps: requests answered", swaps["answered"], "", "≥ 100000")
    yield Figure("swaps: requests failed", sum(failed(swaps).values()), "", "≤ 0")
    yield Figure("swaps: answers whose version disagrees", swaps["disagreed"], "", "≤ 0")
    yield Figure("swaps: connections closed before any byte", swaps["retried"], "")
    yield Figure("swaps: slowest rollback, asked to answered", slowest, "s", "≤ 5")
    yield Figure("restarts", RESTARTS, "", "≥ 20")
    yield Figure("restarts: requests answered", restarts["answered"], "")
    yield Figure("restarts: requests failed", sum(failed(restarts).values()), "", "≤ 0")
    yield Figure("restarts: connections closed before any byte", restarts["retried"], "")
    yield Figure("restarts: answers whose version disagrees", restarts["disagreed"], "", "≤ 0")


# simulated: to here
