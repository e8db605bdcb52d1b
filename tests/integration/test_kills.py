"""SIGKILL in the middle of each stage: the next run recovers, as if nothing had happened.

`make soak-kills` kills at every write of each stage; here it is the first and the third.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from salescast.contract.schema import as_of
from salescast.data import store, versions
from salescast.ledger.ledger import Ledger
from salescast.settings import read_settings
from salescast.stages.configured import open_registry
from tests.builders import make_tables
from tests.workspaces import DAYS, LAST, approve, contents, make_workspace

# At which of its writes a stage is killed; 0 stands for each in turn.
KILLS = [int(n) for n in os.environ.get("SOAK_KILLS", "1,3").split(",")]
STAGES = (
    "ingest",
    "validate",
    "features",
    "backtest",
    "train",
    "register",
    "gate",
    "promote",
    "forecast",
    "monitor",
)

# Imports once and forks for each run, so that a kill costs a stage and no imports. It counts
# whatever makes a change stick: files put in place, artifacts copied, transactions committed.
NURSERY = """
import os, shutil, signal, sys
from datetime import date
import great_expectations, mlflow, sqlalchemy
from mlflow.store.tracking import sqlalchemy_store
from salescast.settings import read_settings
from salescast.stages import STAGES

def dying(change, left):
    def guarded(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(*args, **kwargs)
    return guarded

def run(stage, allowed, until):
    left = [allowed]
    os.replace = dying(os.replace, left)
    shutil.copyfile = dying(shutil.copyfile, left)
    sqlalchemy.event.listen(sqlalchemy.Engine, "commit", dying(lambda connection: None, left))
    options = {"until": date.fromisoformat(until)} if stage == "ingest" else {}
    STAGES[stage](read_settings(), **options)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            run(line.split()[0], int(line.split()[1]), line.split()[2])
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Story(NamedTuple):
    """What became of a workspace whose stages were killed, each several times."""

    root: Path
    killed: dict[str, int]
    recovered: dict[str, int]
    data: dict[str, set[str]]


@contextmanager
def nursery(root: Path) -> Iterator["subprocess.Popen[str]"]:
    """Start the process that forks the runs."""
    environment = os.environ | {"SALESCAST_CONFIG": str(root / "config.toml")}
    process = subprocess.Popen(
        [sys.executable, "-c", NURSERY],
        env=environment | {"TQDM_DISABLE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        assert process.stdin
        process.stdin.close()


def attempt(process: "subprocess.Popen[str]", stage: str, allowed: int) -> int:
    """Run the stage, killed at write `allowed` (0: never), and return how it ended."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{stage} {allowed} {LAST:%Y-%m-%d}\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def kill(process: "subprocess.Popen[str]", stage: str) -> int:
    """Kill the stage at each chosen write and return how many kills hit it."""
    if KILLS != [0]:
        return sum(attempt(process, stage, n) == -signal.SIGKILL for n in KILLS)
    hits = 0
    while attempt(process, stage, hits + 1) == -signal.SIGKILL:
        hits += 1
    return hits


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Return a life cycle in which every stage is killed before it may finish."""
    root = make_workspace(tmp_path_factory.mktemp("kills") / "shop", make_tables(DAYS))
    store.append(root / "data", as_of(make_tables(DAYS), LAST - pd.Timedelta(days=1)))
    story = Story(root, {}, {}, {})
    with nursery(root) as process:
        for stage in STAGES:
            before = versions.data_version(root / "data")
            story.killed[stage] = kill(process, stage)
            story.recovered[stage] = attempt(process, stage, 0)
            if stage == "gate":
                approve(root)
            story.data[stage] = {before, versions.data_version(root / "data")}
    return story


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_killed_and_run_again_succeeds(story, stage):
    """Nothing that a killed run left behind is in the way of the next one."""
    assert story.killed[stage] > 0
    assert story.recovered[stage] == 0


def test_the_data_are_those_of_a_run_that_was_never_killed(story, tmp_path):
    """Ingest stored the last day once and whole; no later stage touched the data."""
    whole = make_workspace(tmp_path / "whole", {})
    store.append(whole / "data", make_tables(DAYS))

    assert versions.data_version(story.root / "data") == versions.data_version(whole / "data")
    assert {stage: len(seen) for stage, seen in story.data.items() if len(seen) > 1} == {
        "ingest": 2
    }


def test_no_part_of_a_result_is_left_over(story):
    """The temporary files of killed runs are gone."""
    names = [Path(name).name for name in contents(story.root / "build")]
    assert [name for name in names if name.startswith(".") or name.endswith(".partial")] == []


def test_one_model_is_registered_and_champion(story):
    """However often registering was killed, there is one version, and it was promoted."""
    registry = open_registry(read_settings(story.root / "config.toml"))

    champion = registry.version("champion")

    assert champion is not None
    assert champion.number == 1
    assert registry.version(2) is None
    assert registry.version("challenger") is None


def test_each_forecast_and_decision_stands_once_in_the_ledger(story):
    """Four series by fourteen days, one refusal, and the approval that this test adds."""
    with Ledger(read_settings(story.root / "config.toml").ledger_url) as ledger:
        forecasts, decisions = ledger.forecasts(), ledger.decisions()

    assert len(forecasts) == 4 * 14
    assert not forecasts.duplicated(["store_id", "item_id", "date"]).any()
    assert decisions["kind"].tolist() == ["gate", "gate"]
    assert decisions["verdict"].tolist() == ["refuse", "promote"]
