"""The flows as Prefect runs them: parameters, retries, timeouts, names and artifacts.

`config`: default: `$SALESCAST_CONFIG`, then config.toml in the worker's folder.
`prefect.yaml` deploys them, with their schedules; `make up` does so on this machine.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from prefect import State, Task, flow, pause_flow_run, suspend_flow_run, task
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.events import emit_event
from prefect.input import RunInput
from prefect.runtime import deployment, flow_run, task_run
from prefect.states import Completed
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner
from pydantic import Field

from flows import FLOWS
from flows.engine import Run, logged
from salescast.errors import ConfigError, FeedUnavailableError, StoreUnavailableError
from salescast.settings import Scale, Settings, read_settings
from salescast.stages import PARTITIONED, STAGES, Result, Stage
from salescast.stages.adaptation import adapt
from salescast.stages.gating import decision_of, raise_refusal
from salescast.stages.ingestion import rehearsal
from salescast.stages.partitions import Mapper, in_order

RETRY_SECONDS = (10.0, 60.0, 300.0)  # a restart, a failover, a provider's bad five minutes
TRAINING = {"features", "backtest", "train", "register", "gate"}
APPROVAL_SECONDS = 3 * 24 * 3600  # a long weekend; then the run fails and the champion stays

log = logging.getLogger("salescast")


def _is_outage(failed: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether waiting may help: a feed or a store did not answer."""
    failure = state.result(raise_on_failure=False)
    outage = isinstance(failure, FeedUnavailableError | StoreUnavailableError)
    if outage:
        log.warning("%-9s waits and tries again: %s", failed.name, failure)
    return outage


def _task_run_name() -> str:
    """Return the stage and the days it was called with."""
    days = [str(value) for value in task_run.parameters.values() if isinstance(value, date)]
    return " ".join([str(task_run.task_name), *days])


def as_task(name: str, stage: Stage) -> Task[..., Result]:
    """Return a stage as a task that waits for what does not answer, and ends some time."""
    training = name in TRAINING
    return task(
        name=name,
        task_run_name=_task_run_name,
        tags={"training" if training else "operation"},
        timeout_seconds=(6 if training else 1) * 3600,
        retries=len(RETRY_SECONDS),
        retry_delay_seconds=list(RETRY_SECONDS),
        retry_jitter_factor=0.5,
        retry_condition_fn=_is_outage,
        cache_policy=NO_CACHE,
    )(stage)


def _work(work: Callable[[Any], Any], value: Any) -> Any:
    return work(value)


TASKS = {name: as_task(name, stage) for name, stage in STAGES.items()}
PARTITION = task(name="partition", cache_policy=NO_CACHE)(_work)


def on_prefect(settings: Settings) -> Run:
    """Return a `run` that runs the stage as a task of the current flow run, with artifacts."""
    mapper = workers(settings.scale)

    def run(name: str, **options: Any) -> Result:
        if name == "promote" and settings.gate.approval:
            options |= approval(settings)
        if name in PARTITIONED:
            options["mapper"] = mapper
        result: Result = TASKS[name](settings, **options)
        if name in TABLES:
            key, rows = TABLES[name]
            create_table_artifact(key=key, table=rows(result), description=result["summary"])
        if name in PAGES:
            PAGES[name](result)
        return result

    return logged(run)


def workers(scale: Scale) -> Mapper:
    """Return what works through partitions: each a task of the current flow run, on the runner."""
    if scale.partitions == 1 or scale.runner == "inline":
        return in_order

    def mapper(work: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
        with _task_runner(scale) as runner:
            futures = [runner.submit(PARTITION, {"work": work, "value": value}) for value in values]
            return [future.result() for future in futures]

    return mapper


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
    """Wait until a person approves the judged challenger; return who did, and why.

    A deployed run is suspended: its worker is free for other runs meanwhile, and starts it again
    when it is resumed. Any other run waits in its process.
    Raises GateRefused at once where the gate refused: there is nothing to approve.
    """
    decision = decision_of(settings, None)
    raise_refusal(decision)
    text = f"Version {decision['version']} passed {len(decision['checks'])} checks. Promote it?"
    log.info("promote   waits for a person: resume the flow run with a reason")
    wait = suspend_flow_run if deployment.id else pause_flow_run
    question = Approval.with_initial_data(description=text)
    answer = wait(wait_for_input=question, timeout=APPROVAL_SECONDS, key="approval")
    return {"approve": answer.reason, "approver": answer.approver}


def _scores(result: Result) -> list[dict[str, Any]]:
    return [
        {"model": name} | {key: _rounded(value) for key, value in card["overall"].items()}
        for name, card in result["scorecard"]["models"].items()
    ]


def _rounded(value: float | None) -> float | None:
    return round(value, 4) if value is not None and math.isfinite(value) else None


def _row(*names: str) -> Callable[[Result], list[dict[str, Any]]]:
    return lambda result: [{name: result[name] for name in names}]


TABLES: Mapping[str, tuple[str, Callable[[Result], list[dict[str, Any]]]]] = {
    "ingest": (
        "delivery",
        lambda result: [{"table": t, "new rows": count} for t, count in result["rows"].items()],
    ),
    "backtest": ("scorecard", _scores),
    "gate": ("gate", lambda result: result["checks"]),
    "forecast": (
        "forecast",
        _row("origin", "series", "degraded_rows", "model_version", "data_version"),
    ),
    "order": (
        "orders",
        _row("origin", "due", "units", "spend", "expected_cost", "planner_units", "planner_cost"),
    ),
    "monitor": ("alarms", lambda result: result["open_alarms"]),
}
"""Stage → the table that Prefect's pages show of its result."""


def _quality(result: Result) -> None:
    create_link_artifact(key="data-docs", link=Path(result["data_docs"]).resolve().as_uri())
    warnings = "".join(f"\n- {warning}" for warning in result["warnings"])
    create_markdown_artifact(key="quality", markdown=result["summary"] + warnings)


def _answer(result: Result) -> None:
    first = result["answer"]["forecasts"][0]
    table = "| date | mean |\n|---|---|\n"
    table += "".join(f"| {day['date']} | {day['mean']:.2f} |\n" for day in first["days"])
    create_markdown_artifact(key="answer", markdown=f"{result['summary']}\n\n{table}")


def _monitoring(result: Result) -> None:
    if "report" in result:  # a brief look writes none
        create_link_artifact(key="report", link=Path(result["report"]).resolve().as_uri())
    if result["training"]:
        request_training(str(result["training"]))


def request_training(reason: str) -> None:
    """Tell the server that a training is due; one of its automations runs it."""
    resource = {"prefect.resource.id": "salescast.monitor"}
    emit_event("salescast.training-wanted", resource, payload={"why": reason})


PAGES: Mapping[str, Callable[[Result], None]] = {
    "validate": _quality,
    "answer": _answer,
    "monitor": _monitoring,
}
"""Stage → what else Prefect's pages show of its result."""


def _title() -> str:
    """Return the name of the current flow run: the flow, and the days it was called with."""
    days = [str(value) for value in flow_run.parameters.values() if isinstance(value, date)]
    return " ".join([str(flow_run.flow_name), *days])


@flow(flow_run_name=_title)
def ingest(config: Path | None = None, until: date | None = None) -> Result:
    """Fetch, check, append and version what became known up to `until` (default: today)."""
    return FLOWS["ingest"](_run(config), until)


@flow(flow_run_name=_title)
def train(config: Path | None = None) -> Any:
    """Train, backtest, register and judge a challenger; the state Refused says that it may not."""
    decision = FLOWS["train"](on_prefect(adapt(read_settings(config))))
    return decision if decision["verdict"] == "promote" else _refused(decision)


@flow(flow_run_name=_title)
def deploy(config: Path | None = None) -> Any:
    """Promote the judged challenger and forecast with it; Refused where the gate refused it."""
    decision = decision_of(read_settings(config), None)
    if decision["verdict"] != "promote":
        return _refused(decision)
    return FLOWS["deploy"](_run(config))


def _refused(decision: Result) -> State[Result]:
    reasons = "; ".join(check["reason"] for check in decision["checks"] if not check["passed"])
    return Completed(name="Refused", message=reasons, data=decision)


@flow(flow_run_name=_title)
def forecast(config: Path | None = None) -> Result:
    """Forecast every series with the champion."""
    return FLOWS["forecast"](_run(config))


@flow(flow_run_name=_title)
def monitor(config: Path | None = None) -> Result:
    """Score what was served, look for drift, raise alarms."""
    return FLOWS["monitor"](_run(config))


@flow(flow_run_name=_title)
def lifecycle(
    config: Path | None = None, start: date | None = None, end: date | None = None
) -> Result:
    """Run everything once: train as of `start`, score as of `end` (default: the last fortnight)."""
    first, last = rehearsal(read_settings(config))
    return FLOWS["lifecycle"](_run(config), start or first, end or last)


def _run(config: Path | None) -> Run:
    log.setLevel(logging.INFO)  # a worker's flow run logs to Prefect what the console shows
    return on_prefect(read_settings(config))
