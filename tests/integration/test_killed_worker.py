"""A machine dies in the middle of a run; Prefect, MLflow and the ledger lie in PostgreSQL.

`make soak-worker` kills it a second time, starts all again, and waits until the automations fire.
"""

import os
import signal
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import psutil
import pytest
import sqlalchemy
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.on_prefect import request_training
from salescast.data import store
from salescast.doctor import stores
from salescast.ledger.ledger import Ledger
from salescast.settings import Settings, read_settings
from salescast.stages import STAGES
from scripts import up
from scripts.prefect_api import (
    automations,
    connect,
    create_pool,
    deploy,
    mark_crashed,
    unfinished_runs,
)
from tests.builders import make_tables
from tests.postgres import empty_database
from tests.prefect_server import Server, prefect_server, process_of, wait
from tests.workspaces import approve, make_workspace

TRAIN, FORECAST = "train/weekly", "forecast/daily"
SCHEDULED = {"type": "SCHEDULED"}


@dataclass(frozen=True)
class Team:
    """A server with the deployments and automations, and the workspace its worker works in."""

    server: Server
    settings: Settings
    ids: Mapping[str, str]
    flows: Mapping[str, str]

    def run(self, name: str) -> None:
        """Ask for a run of a deployment."""
        self.server.post(f"deployments/{self.ids[name]}/create_flow_run", {"state": SCHEDULED})

    def begin(self, name: str, state: str) -> str:
        """Pretend that a run of a deployment got this far, and return its id."""
        flow = self.flows[name]
        body = {"flow_id": flow, "deployment_id": self.ids[name], "state": {"type": "RUNNING"}}
        run = str(self.server.post("flow_runs/", body)["id"])
        change = {"state": {"type": state}, "force": True}
        self.server.post(f"flow_runs/{run}/set_state", change)
        return run

    def runs(self, name: str, *states: str) -> list[dict[str, Any]]:
        """Return the runs of a deployment that somebody or something asked for, oldest first."""
        query: dict[str, Any] = {
            "deployments": {"id": {"any_": [self.ids[name]]}},
            "sort": "EXPECTED_START_TIME_ASC",
        }
        if states:
            query["flow_runs"] = {"state": {"type": {"any_": list(states)}}}
        found = self.server.post("flow_runs/filter", query)
        return [run for run in found if not run["auto_scheduled"]]

    @contextmanager
    def worker(self) -> Iterator[psutil.Process]:
        """Run a worker until somebody kills it, at the latest when the block ends."""
        command = [sys.executable, "-m", "prefect", *up.worker().command[3:]]
        log = self.settings.root / "worker.log"
        with process_of(command, self.server.environment, log) as process:
            worker = psutil.Process(process.pid)
            yield worker
            _kill(worker)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """Start the server with three databases in PostgreSQL, deploy, and hold the automations."""
    root = make_workspace(tmp_path_factory.mktemp("killed") / "work", {})
    with ExitStack() as stack:
        prefect, mlflow, ledger = (stack.enter_context(empty_database()) for _ in range(3))
        stack.enter_context(patch.dict(os.environ, _stores(mlflow, ledger)))
        settings = read_settings(root / "config.toml")
        store.append(settings.data, make_tables(150))
        server = stack.enter_context(prefect_server(root.parent, _kept(prefect)))
        stack.enter_context(patch.dict(os.environ, {"PREFECT_API_URL": server.api}))
        with connect(server.api) as api:
            create_pool(api)
        deploy(server.environment)
        flows = {one["id"]: one["name"] for one in server.post("flows/filter")}
        found = server.post("deployments/filter")
        named = {f"{flows[one['flow_id']]}/{one['name']}": one for one in found}
        with connect(server.api) as api:
            for one in found:
                here = {"parameters": {"config": str(root / "config.toml")}, "paused": False}
                api.patch(f"/deployments/{one['id']}", json=here).raise_for_status()
        ids = {name: one["id"] for name, one in named.items()}
        yield Team(server, settings, ids, {name: one["flow_id"] for name, one in named.items()})


def _stores(mlflow: str, ledger: str) -> dict[str, str]:
    return {
        "MLFLOW_TRACKING_URI": _driven(mlflow, "psycopg2"),
        "SALESCAST_STORES__LEDGER_URL": ledger,
    }


def _kept(prefect: str) -> dict[str, str]:
    return {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": _driven(prefect, "asyncpg"),
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": up.LEASES,
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }


def _driven(url: str, driver: str) -> str:
    chosen = sqlalchemy.make_url(url).set(drivername=f"postgresql+{driver}")
    return chosen.render_as_string(hide_password=False)


def _kill(worker: psutil.Process) -> None:
    """End it and all it started at once, as a machine does that loses its power."""
    started = worker.children(recursive=True) if worker.is_running() else []
    for process in [worker, *started]:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


def _rows(url: str, query: str) -> int:
    """Return what a query counts; 0 where the table is not there yet."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with suppress(sqlalchemy.exc.ProgrammingError), engine.connect() as connection:
        return int(connection.execute(sqlalchemy.text(query)).scalar() or 0)
    return 0


@pytest.fixture(scope="module")
def trained(team: Team) -> Iterator[psutil.Process]:
    """Kill the machine while it registers, let the doctor end the run; return the next worker."""
    log = team.settings.root / "worker.log"
    team.run(TRAIN)
    with team.worker() as worker:
        begun = "SELECT count(*) FROM runs"
        wait(lambda: _rows(team.settings.mlflow_uri, begun) > 0, log, every=0.05)
        _kill(worker)
    with patch.object(stores, "STALE_HOURS", -1):
        stores.reap(team.settings)
    with team.worker() as worker:
        wait(lambda: bool(team.runs(TRAIN, "COMPLETED", "FAILED")), log)
        yield worker


@pytest.fixture(scope="module")
def forecast(team: Team, trained: psutil.Process) -> None:
    """Kill the machine after its forecasts, before its orders; start again as `make up` does."""
    log, ledger = team.settings.root / "worker.log", team.settings.ledger_url
    approve(team.settings.root)
    STAGES["promote"](team.settings)
    with _locked(ledger, "orders"):
        team.run(FORECAST)
        wait(lambda: _rows(ledger, "SELECT count(*) FROM forecasts") > 0, log)
        _kill(trained)
    with connect(team.server.api) as api:
        mark_crashed(api, unfinished_runs(api))
    with team.worker():
        wait(lambda: bool(team.runs(FORECAST, "COMPLETED", "FAILED")), log)


@contextmanager
def _locked(url: str, table: str) -> Iterator[None]:
    """Let nobody write into a table until the block ends."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"LOCK TABLE {table} IN SHARE MODE"))
        yield


@pytest.mark.usefixtures("trained")
def test_a_training_whose_machine_died_is_repeated_by_itself(team: Team) -> None:
    """The doctor ends the dead run; the automation asks for another, and it gets the turn."""
    assert [run["state_type"] for run in team.runs(TRAIN)] == ["CRASHED", "COMPLETED"]


@pytest.mark.usefixtures("trained")
def test_no_version_is_registered_twice(team: Team) -> None:
    """There is one version, of the run that was completed."""
    assert _rows(team.settings.mlflow_uri, "SELECT count(*) FROM model_versions") == 1


@pytest.mark.soak("SOAK_WORKER")
@pytest.mark.usefixtures("forecast")
def test_what_ran_when_all_stopped_is_repeated_after_the_start(team: Team) -> None:
    """A server that starts again ends what died with it, and asks for it anew."""
    assert [run["state_type"] for run in team.runs(FORECAST)] == ["CRASHED", "COMPLETED"]


@pytest.mark.soak("SOAK_WORKER")
@pytest.mark.usefixtures("forecast")
def test_no_forecast_is_written_twice(team: Team) -> None:
    """The first run had written its forecasts; the second adds the orders."""
    with Ledger(team.settings.ledger_url) as ledger:
        made, orders = ledger.forecasts(), ledger.orders()
    assert not made.duplicated(["store_id", "item_id", "origin", "date"]).any()
    assert (len(made), len(orders)) == (4 * 14, 4)


@pytest.mark.soak("SOAK_WORKER")
@pytest.mark.usefixtures("forecast")
def test_what_monitoring_wants_is_trained(team: Team) -> None:
    """Its event leads to a run of the training, waiting for a worker."""
    before = len(team.runs(TRAIN))
    with temporary_settings({PREFECT_API_URL: team.server.api}):
        request_training("levels shifted")
        EventsWorker.drain_all()
    wait(lambda: len(team.runs(TRAIN)) > before, "the automation did not fire")
    assert team.runs(TRAIN)[-1]["state_type"] == "SCHEDULED"


@pytest.mark.soak("SOAK_WORKER")
@pytest.mark.usefixtures("forecast")
def test_a_day_without_a_delivery_is_looked_at(team: Team) -> None:
    """When no second delivery is completed in time, here ten seconds, the monitor runs."""
    _hold(team, "alarm when the day's data are missing")
    team.begin("ingest/daily", "COMPLETED")
    wait(lambda: bool(team.runs("monitor/daily")), "the automation did not fire")


@pytest.mark.soak("SOAK_WORKER")
@pytest.mark.usefixtures("forecast")
def test_a_run_that_is_heard_of_no_more_is_ended_and_repeated(team: Team) -> None:
    """Without a doctor: the silence, here of ten seconds, is enough."""
    _hold(team, "end a run without a heartbeat")
    run = team.begin("deploy/weekly", "RUNNING")
    beat = {"event": "prefect.flow-run.heartbeat", "id": str(uuid.uuid4())}
    beat |= {"occurred": datetime.now(UTC).isoformat(), "payload": {}, "related": []}
    about = {"resource": {"prefect.resource.id": f"prefect.flow-run.{run}"}}
    team.server.post("events", [beat | about])
    wait(lambda: len(team.runs("deploy/weekly")) == 2, "the automations did not fire")
    assert [one["state_type"] for one in team.runs("deploy/weekly")] == ["CRASHED", "SCHEDULED"]


@pytest.mark.soak("SOAK_WORKER")
@pytest.mark.usefixtures("forecast")
def test_what_crashes_again_and_again_is_repeated_once_a_day(team: Team) -> None:
    """A run that is itself what kills the machine does not kill it for ever."""
    with connect(team.server.api) as api:
        before, others = len(team.runs(FORECAST)), len(team.runs("monitor/daily"))
        mark_crashed(api, [team.begin(FORECAST, "RUNNING")])
        mark_crashed(api, [team.begin("monitor/daily", "RUNNING")])  # told later, and repeated
    wait(lambda: len(team.runs("monitor/daily")) == others + 2, "was not repeated")
    assert len(team.runs(FORECAST)) == before + 1


def _hold(team: Team, name: str) -> None:
    """Let the server hold it a second time, with ten seconds for its patience."""
    (soon,) = (one for one in automations(team.ids) if one["name"] == name)
    soon["trigger"]["within"] = 10  # the least Prefect allows
    team.server.post("automations/", soon | {"name": f"{soon['name']}, soon"})
