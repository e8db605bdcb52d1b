"""The flows as Prefect runs them: parameters, retries, names and artifacts.

`prefect.yaml` deploys them, with their schedules; `make up` does so on this machine.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from prefect import State, Task, flow, pause_flow_run
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.events import emit_event
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner
from pydantic import Field

from flows import deploy as deploying
from flows import forecast as forecasting
from flows import ingest as ingesting
from flows import lifecycle as cycling
from flows import monitor as monitoring
from flows import train as training
from flows.engine import Run, telling
from salescast.errors import ConfigError, FeedUnavailableError, StoreUnavailableError
from salescast.settings import Scale, Settings, read_settings
from salescast.stages import PARTITIONED, STAGES, Result
from salescast.stages.adaptation import adapt
from salescast.stages.gating import raise_refusal
from salescast.stages.ingestion import rehearsal
from salescast.stages.partitions import Each, one_by_one
from salescast.stages.promotion import decision_of

CONFIG = Path("config.toml")
WAITS = (10.0, 60.0, 300.0)  # seconds: a restart, a failover, a provider's bad five minutes

APPROVAL_SECONDS = 3 * 24 * 3600  # a long weekend; then the run fails and the champion stays

log = logging.getLogger("salescast")


def _may_pass(task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether waiting may help: something outside did not answer."""
    failure = state.result(raise_on_failure=False)
    waits = isinstance(failure, FeedUnavailableError | StoreUnavailableError)
    if waits:
        log.warning("%-9s waits and tries again: %s", task.name, failure)
    return waits


def on_prefect(settings: Settings) -> Run:
    """Return a `run` that runs the stage as a task of the current flow run, with artifacts."""
    each = workers(settings.scale)

    def run(name: str, **options: Any) -> Result:
        if name == "promote" and settings.gate.approval:
            options |= approval(settings)
        task = Task(
            STAGES[name],
            name=name,
            task_run_name=" ".join([name, *(str(v) for v in options.values() if v)]),
            retries=len(WAITS),
            retry_delay_seconds=list(WAITS),
            retry_condition_fn=_may_pass,
            cache_policy=NO_CACHE,
        )
        if name in PARTITIONED:
            options["each"] = each
        result: Result = task(settings, **options)
        if name in ARTIFACTS:
            ARTIFACTS[name](result)
        return result

    return run


def workers(scale: Scale) -> Each:
    """Return what works through partitions: each a task of the current flow run, on the runner."""
    if scale.partitions == 1 or scale.runner == "inline":
        return one_by_one

    def each(work: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
        task = Task(_work, name="partition", cache_policy=NO_CACHE)
        with _task_runner(scale) as runner:
            asked = [runner.submit(task, {"work": work, "value": value}) for value in values]
            return [future.result() for future in asked]

    return each


def _work(work: Callable[[Any], Any], value: Any) -> Any:
    return work(value)


def _task_runner(scale: Scale) -> TaskRunner[Any]:
    if scale.runner == "threads":
        return ThreadPoolTaskRunner(max_workers=scale.workers)
    if scale.runner == "processes":
        return ProcessPoolTaskRunner(max_workers=scale.workers)
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise ConfigError("scale.runner = dask needs the extra: install salescast[dask]") from error
    return DaskTaskRunner(address=scale.scheduler or _local_cluster(scale.workers))


@cache
def _local_cluster(processes: int) -> str:
    """Start a cluster, once for all stages of this process, with which it ends; its address."""
    from distributed import LocalCluster

    cluster = LocalCluster(n_workers=processes, threads_per_worker=1, dashboard_address=None)
    address: str = cluster.scheduler_address
    return address


class Approval(RunInput):
    """What a person fills in where a promotion waits for one."""

    approver: str = Field(min_length=1, description="Who approves.")
    reason: str = Field(min_length=1, description="Why, for the journal.")


def approval(settings: Settings) -> dict[str, str]:
    """Pause the flow run until a person approves the judged challenger, and return what was said.

    Raises GateRefused at once where the gate said no: there is nothing to approve.
    """
    decision = decision_of(settings, None)
    raise_refusal(decision)
    asked = f"Version {decision['version']} passed {len(decision['checks'])} checks. Promote it?"
    log.info("promote   waits for a person: resume the flow run with a reason")
    said = pause_flow_run(
        wait_for_input=Approval.with_initial_data(description=asked), timeout=APPROVAL_SECONDS
    )
    return {"approve": said.reason, "approver": said.approver}


def _scorecard(result: Result) -> None:
    rows = [
        {"model": name} | {key: _short(value) for key, value in card["overall"].items()}
        for name, card in result["scorecard"]["models"].items()
    ]
    create_table_artifact(key="scorecard", table=rows, description=result["summary"])


def _short(value: float | None) -> float | None:
    return round(value, 4) if value is not None and math.isfinite(value) else None


def _decision(result: Result) -> None:
    create_table_artifact(key="gate", table=result["checks"], description=result["summary"])


def _answer(result: Result) -> None:
    first = result["answer"]["forecasts"][0]
    table = "| date | mean |\n|---|---|\n"
    table += "".join(f"| {day['date']} | {day['mean']:.2f} |\n" for day in first["days"])
    create_markdown_artifact(key="answer", markdown=f"{result['summary']}\n\n{table}")


def _forecast(result: Result) -> None:
    told = ("origin", "series", "degraded_rows", "model_version", "data_version")
    row = {name: result[name] for name in told}
    create_table_artifact(key="forecast", table=[row], description=result["summary"])


def _orders(result: Result) -> None:
    told = ("origin", "due", "units", "spend", "expected_cost", "planner_units", "planner_cost")
    row = {name: result[name] for name in told}
    create_table_artifact(key="orders", table=[row], description=result["summary"])


def _delivery(result: Result) -> None:
    rows = [{"table": name, "new rows": count} for name, count in result["rows"].items()]
    create_table_artifact(key="delivery", table=rows, description=result["summary"])


def _quality(result: Result) -> None:
    create_link_artifact(key="data-docs", link=Path(result["data_docs"]).resolve().as_uri())
    warnings = "".join(f"\n- {warning}" for warning in result["warnings"])
    create_markdown_artifact(key="quality", markdown=result["summary"] + warnings)


def _monitoring(result: Result) -> None:
    if "report" in result:  # a brief look writes none
        create_link_artifact(key="report", link=Path(result["report"]).resolve().as_uri())
    create_table_artifact(key="alarms", table=result["alarms"], description=result["summary"])
    if result["training"]:
        want_training(str(result["training"]))


def want_training(why: str) -> None:
    """Tell the server that a training is due; one of its automations runs it."""
    told = {"prefect.resource.id": "salescast.monitor"}
    emit_event("salescast.training-wanted", told, payload={"why": why})


ARTIFACTS: Mapping[str, Callable[[Result], None]] = {
    "ingest": _delivery,
    "validate": _quality,
    "backtest": _scorecard,
    "gate": _decision,
    "forecast": _forecast,
    "order": _orders,
    "answer": _answer,
    "monitor": _monitoring,
}
"""What a stage's result looks like on Prefect's pages."""


def _title() -> str:
    """Return the name of the current flow run: the flow, and the days it was asked for."""
    days = [str(value) for value in flow_run.parameters.values() if isinstance(value, date)]
    return " ".join([str(flow_run.flow_name), *days])


@flow(flow_run_name=_title)
def ingest(config: Path = CONFIG, until: date | None = None) -> Result:
    """Fetch, check, append and version what became known up to `until` (default: today)."""
    return ingesting.ingest(_run(config), until)


@flow(flow_run_name=_title)
def train(config: Path = CONFIG) -> Result:
    """Learn, examine, register and judge a challenger."""
    return training.train(on_prefect(adapt(read_settings(config))))


@flow(flow_run_name=_title)
def deploy(config: Path = CONFIG) -> Result:
    """Promote the judged challenger and see that it answers."""
    return deploying.deploy(_run(config))


@flow(flow_run_name=_title)
def forecast(config: Path = CONFIG) -> Result:
    """Forecast every series with the champion."""
    return forecasting.forecast(_run(config))


@flow(flow_run_name=_title)
def monitor(config: Path = CONFIG) -> Result:
    """Score what was served, look for drift, raise alarms."""
    return monitoring.monitor(_run(config))


@flow(flow_run_name=_title)
def lifecycle(config: Path = CONFIG, start: date | None = None, end: date | None = None) -> Result:
    """Run everything once: learn as of `start`, score as of `end` (default: the last fortnight)."""
    first, last = rehearsal(read_settings(config))
    return cycling.lifecycle(_run(config), start or first, end or last)


def _run(config: Path) -> Run:
    log.setLevel(logging.INFO)  # a worker's flow run is told to Prefect's log as on the console
    return telling(on_prefect(read_settings(config)))
