"""The deployments on a real server, one of them run by a real worker."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from salescast.data import store
from salescast.errors import FeedUnavailableError, GateRefused, StoreUnavailableError
from salescast.settings import read_settings
from salescast.stages import STAGES
from scripts.prefect_api import automations, connect, replace_automations
from tests.builders import make_tables
from tests.prefect_server import Server, prefect_server, process_of, wait
from tests.workspaces import record_decision

ROOT = Path(__file__).parents[2]
FLOWS = {"ingest", "train", "deploy", "forecast", "monitor", "lifecycle"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start the server on a free port with a home of its own, and deploy prefect.yaml."""
    with prefect_server(tmp_path_factory.mktemp("prefect")) as server:
        server.prefect("work-pool", "create", "salescast", "--type", "process")
        server.prefect("deploy", "--all")
        yield server


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a workspace with tables and features; nothing has been forecast in it yet."""
    folder = tmp_path_factory.mktemp("workspace")
    text = (ROOT / "config.toml").read_text().replace("cutoffs = 26", "cutoffs = 4")
    (folder / "config.toml").write_text(text)
    store.append(folder / "data", make_tables(200))
    STAGES["features"](read_settings(folder / "config.toml"))
    return folder


@pytest.fixture(scope="module")
def flow_run(server: Server, workspace: Path) -> dict[str, Any]:
    """Ask for a run of the deployment monitor/daily, and let a worker take it."""
    config = f"config={workspace / 'config.toml'}"
    server.prefect("deployment", "run", "monitor/daily", "--param", config)
    server.prefect("worker", "start", "--pool", "salescast", "--run-once", "--limit", "1")
    return _asked_for(server)


def _asked_for(server: Server) -> dict[str, Any]:
    """Return the run somebody asked for; the scheduler has planned others."""
    runs = server.post("flow_runs/filter", {"sort": "EXPECTED_START_TIME_ASC"})
    return next(run for run in runs if not run["auto_scheduled"])


def test_each_flow_is_deployed_with_a_schedule_and_a_description(server: Server) -> None:
    """The page of deployments says what runs, when, and what for."""
    deployed = server.post("deployments/filter")
    names = {flow["id"]: flow["name"] for flow in server.post("flows/filter")}

    assert {names[one["flow_id"]] for one in deployed} == FLOWS
    assert [one["name"] for one in deployed if not one["schedules"]] == []
    assert [one["name"] for one in deployed if not one["description"]] == []


def test_the_rehearsal_waits_to_be_asked(server: Server) -> None:
    """Everything runs by itself but for the flow that does it all over again."""
    deployed = server.post("deployments/filter")
    resting = [one["name"] for one in deployed if not one["schedules"][0]["active"]]
    assert resting == ["rehearsal"]


def test_a_worker_completes_a_run(flow_run: dict[str, Any]) -> None:
    """The deployment finds code, parameters and workspace, and ends well."""
    assert (flow_run["state_type"], flow_run["name"]) == ("COMPLETED", "monitor")


def test_the_run_shows_its_steps_and_results(server: Server, flow_run: dict[str, Any]) -> None:
    """Tasks bear the names of the stages; the report is linked, the alarms are a table."""
    of_run = {"flow_runs": {"id": {"any_": [flow_run["id"]]}}}
    tasks = {task["name"] for task in server.post("task_runs/filter", of_run)}
    shown = {one["key"]: one["type"] for one in server.post("artifacts/filter", of_run)}

    assert tasks == {"monitor", "canary"}
    assert shown == {"report": "markdown", "alarms": "table"}  # Prefect keeps links as markdown


def test_our_lines_are_in_the_runs_log(server: Server, flow_run: dict[str, Any]) -> None:
    """What the console says is said on the run's page, too."""
    query = {"logs": {"flow_run_id": {"any_": [flow_run["id"]]}}}

    def logged() -> bool:
        lines = [line["message"] for line in server.post("logs/filter", query)]
        return any(line.startswith("monitor ") for line in lines)

    wait(logged, f"the log of {flow_run['id']} lacks it")  # the server stores lines in its own time


def test_prefect_yaml_names_no_place() -> None:
    """What is deployed lies where it was deployed from; nothing is fetched, no path is fixed."""
    described = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    (step,) = described["pull"]
    assert step == {"prefect.deployments.steps.set_working_directory": {"directory": "{{ $PWD }}"}}


@pytest.fixture
def attempts(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Return a function that runs a failing stage under Prefect and counts the attempts."""
    from prefect import flow
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows import on_prefect

    monkeypatch.setattr(on_prefect, "RETRY_SECONDS", (0.0, 0.0, 0.0))

    def run(error: Exception, times: int) -> int:
        failures = [error] * times
        made: list[int] = []

        def stage(_settings: object) -> dict[str, Any]:
            made.append(1)
            if failures:
                raise failures.pop()
            return {"summary": "done"}

        monkeypatch.setitem(on_prefect.TASKS, "stage", on_prefect.as_task("stage", stage))
        settings = read_settings(ROOT / "config.toml")
        with suppress(type(error)):
            flow(name="attempts")(lambda: on_prefect.on_prefect(settings)("stage"))()
        return len(made)

    with temporary_settings({PREFECT_API_URL: server.api}):
        yield run
        APILogWorker.instance().drain()  # else they are sent, for a minute, to nobody
        EventsWorker.drain_all()


def test_a_source_that_comes_back_is_waited_for(attempts: Callable[..., int]) -> None:
    """An outage of a feed or a store is tried again, three times at most."""
    assert attempts(FeedUnavailableError("no answer"), times=2) == 3
    assert attempts(StoreUnavailableError("no answer"), times=9) == 4


def test_a_refusal_is_not_tried_again(attempts: Callable[..., int]) -> None:
    """What waiting does not change is raised at once, as it is."""
    assert attempts(GateRefused("too biased"), times=9) == 1


def test_a_refused_challenger_is_a_completed_run_of_that_name(
    server: Server, tmp_path: Path
) -> None:
    """A verdict is no crash: the run is COMPLETED, its state is called Refused and has reasons."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows import on_prefect

    (tmp_path / "config.toml").write_text((ROOT / "config.toml").read_text())
    check = {"name": "bias", "passed": False, "reason": "bias is +40%"}
    record_decision(read_settings(tmp_path / "config.toml"), 3, "refuse", [check])
    refused = json.loads((tmp_path / "build" / "decision.json").read_text("utf-8"))
    with temporary_settings({PREFECT_API_URL: server.api}):
        result = on_prefect.deploy(tmp_path / "config.toml")
        APILogWorker.instance().drain()
        EventsWorker.drain_all()

    runs = server.post(
        "flow_runs/filter", {"flow_runs": {"state": {"name": {"any_": ["Refused"]}}}}
    )
    assert result == refused
    assert [(run["state_type"], run["state"]["message"]) for run in runs] == [
        ("COMPLETED", "bias is +40%")
    ]


def test_a_flow_run_whose_worker_was_killed_is_found_and_ended(
    server: Server, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect leaves it RUNNING for ever; the doctor says so and, when asked, ends it."""
    from salescast.doctor import stores

    flow = server.post("flows/", {"name": "killed"})["id"]
    run = server.post("flow_runs/", {"flow_id": flow, "state": {"type": "RUNNING"}})["id"]
    monkeypatch.setenv("PREFECT_API_URL", server.api)
    monkeypatch.setattr(stores, "STALE_HOURS", -1)
    settings = read_settings(workspace / "config.toml")

    assert run in stores.running_flows(-1)
    assert stores.prefect_runs(settings).fix
    assert stores.reap(settings) >= 1
    assert run not in stores.running_flows(-1)


def test_the_automations_are_held_once_and_one_run_of_a_flow_at_a_time(server: Server) -> None:
    """Deploying again replaces them; a second run of a deployment waits for its turn."""
    with connect(server.api) as api:
        replace_automations(api)
        replace_automations(api)
    held = sorted(one["name"] for one in server.post("automations/filter"))
    limits = [one["global_concurrency_limit"]["limit"] for one in server.post("deployments/filter")]

    assert held == sorted(automation["name"] for automation in automations({}))
    assert limits == [1] * len(FLOWS)


ASKING = """
from prefect import flow
from flows.on_prefect import approval
from salescast.settings import read_settings

@flow(name="asking")
def connect():
    return approval(read_settings({config!r}))

print(connect())
"""


def test_a_promotion_waits_until_a_person_resumes_it_with_a_reason(server, tmp_path) -> None:
    """What is typed on Prefect's page reaches the promotion, typed and checked."""
    (tmp_path / "config.toml").write_text((ROOT / "config.toml").read_text())
    (tmp_path / "build").mkdir()
    record_decision(read_settings(tmp_path / "config.toml"), 1)
    program = ASKING.format(config=str(tmp_path / "config.toml"))
    paused = {"flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}}}

    with process_of([sys.executable, "-c", program], server.environment, tmp_path / "log"):
        wait(lambda: bool(server.post("flow_runs/filter", paused)), tmp_path / "log")
        run = server.post("flow_runs/filter", paused)[0]["id"]
        answer = {"approver": "ada", "reason": "agreed on Monday"}
        server.post(f"flow_runs/{run}/resume", {"run_input": answer})
        wait(lambda: "ada" in (tmp_path / "log").read_text(), tmp_path / "log")

    logged = (tmp_path / "log").read_text()
    assert "{'approve': 'agreed on Monday', 'approver': 'ada'}" in logged


WORKER = ("worker", "start", "--pool", "salescast", "--limit", "1")


def _read(server: Server, run: str) -> dict[str, Any]:
    (found,) = server.post("flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
    return dict(found)


def _begin(server: Server, flow: str, config: Path) -> str:
    """Ask for a run of a flow's deployment, and return its id."""
    query = {"flows": {"name": {"any_": [flow]}}}
    (deployed,) = server.post("deployments/filter", query)
    body = {"parameters": {"config": str(config)}}
    return str(server.post(f"deployments/{deployed['id']}/create_flow_run", body)["id"])


def test_operation_goes_on_while_a_promotion_waits(server, workspace, tmp_path) -> None:
    """A worker that runs one flow at a time monitors meanwhile, and takes up the promotion later.

    Nothing is registered under that version: it is enough that the promotion is tried.
    """
    text = (workspace / "config.toml").read_text().replace("approval = false", "approval = true")
    (tmp_path / "config.toml").write_text(text)
    (tmp_path / "data").symlink_to(workspace / "data")
    record_decision(read_settings(tmp_path / "config.toml"), 9)
    command, log = [sys.executable, "-m", "prefect", *WORKER], tmp_path / "log"

    def reaches(run: str, state: str) -> None:
        wait(lambda: _read(server, run)["state_name"] == state, log)

    with process_of(command, server.environment, log):
        promotion = _begin(server, "deploy", tmp_path / "config.toml")
        reaches(promotion, "Suspended")
        reaches(_begin(server, "monitor", tmp_path / "config.toml"), "Completed")
        answer = {"approver": "ada", "reason": "agreed on Monday"}
        server.post(f"flow_runs/{promotion}/resume", {"run_input": answer})
        reaches(promotion, "Failed")

    tasks = server.post("task_runs/filter", {"flow_runs": {"id": {"any_": [promotion]}}})
    assert [task["name"] for task in tasks] == ["promote"]
    assert "no version 9 is registered" in _read(server, promotion)["state"]["message"]


SCALED = """
import os
from prefect import flow
from flows.on_prefect import on_prefect, workers
from salescast.settings import read_settings

def process(_):
    return os.getpid()

@flow(name="scaled")
def scaled(settings):
    on_prefect(settings)("features")
    return workers(settings.scale)(process, range(4))

if __name__ == "__main__":
    print("processes", len({{os.getpid(), *scaled(read_settings({config!r}))}}))
"""


def test_a_cluster_of_processes_leaves_what_one_process_leaves(server, workspace, tmp_path) -> None:
    """Dask starts two, which make a partition each: the same rows in the same order."""
    text = (workspace / "config.toml").read_text().replace("partitions = 1 ", "partitions = 2 ")
    text = text.replace('runner = "inline"', 'runner = "dask"')
    (tmp_path / "config.toml").write_text(text)
    (tmp_path / "data").symlink_to(workspace / "data")
    (tmp_path / "scaled.py").write_text(SCALED.format(config=str(tmp_path / "config.toml")))
    command = [sys.executable, str(tmp_path / "scaled.py")]

    done = subprocess.run(
        command, cwd=ROOT, env=server.environment, capture_output=True, text=True, check=False
    )

    assert "processes 3" in done.stdout, done.stdout + done.stderr
    made, expected = (pd.read_parquet(w / "build/features.parquet") for w in (tmp_path, workspace))
    pd.testing.assert_frame_equal(made, expected, check_exact=True)
