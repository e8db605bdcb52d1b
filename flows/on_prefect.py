"""The flows as Prefect runs them: parameters, retries, names and artifacts.

`prefect.yaml` deploys them; `python -m flows.on_prefect` serves them from this machine.
"""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from prefect import State, Task, flow
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun

from flows import deploy as deploying
from flows import forecast as forecasting
from flows import ingest as ingesting
from flows import lifecycle as cycling
from flows import monitor as monitoring
from flows import train as training
from flows.engine import Run, telling
from salescast.errors import FeedUnavailableError, StoreUnavailableError
from salescast.settings import Settings, read_settings
from salescast.stages import STAGES, Result
from salescast.stages.data import rehearsal

CONFIG = Path("config.toml")
RETRIES = 3
WAITS = [10, 60, 300]  # seconds: a restart, a failover, a provider's bad five minutes


def _may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether waiting may help: something outside did not answer."""
    failure = state.result(raise_on_failure=False)
    return isinstance(failure, FeedUnavailableError | StoreUnavailableError)


def on_prefect(settings: Settings) -> Run:
    """Return a `run` that runs the stage as a task of the current flow run, with artifacts."""

    def run(name: str, **options: Any) -> Result:
        named = Task(
            STAGES[name],
            name=name,
            task_run_name=" ".join([name, *(str(v) for v in options.values() if v)]),
            retries=RETRIES,
            retry_delay_seconds=list(WAITS),
            retry_condition_fn=_may_pass,
            cache_policy=NO_CACHE,
        )
        result: Result = named(settings, **options)
        if name in ARTIFACTS:
            ARTIFACTS[name](result)
        return result

    return run


def _scorecard(result: Result) -> None:
    rows = [
        {"model": name} | {key: round(value, 4) for key, value in card["overall"].items()}
        for name, card in result["scorecard"]["models"].items()
    ]
    create_table_artifact(key="scorecard", table=rows, description=result["says"])


def _decision(result: Result) -> None:
    create_table_artifact(key="gate", table=result["checks"], description=result["says"])


def _answer(result: Result) -> None:
    first = result["answer"]["forecasts"][0]
    table = "| date | mean |\n|---|---|\n"
    table += "".join(f"| {day['date']} | {day['mean']:.2f} |\n" for day in first["days"])
    create_markdown_artifact(key="answer", markdown=f"{result['says']}\n\n{table}")


def _quality(result: Result) -> None:
    create_link_artifact(key="data-docs", link=f"file://{result['data_docs']}")
    warnings = "".join(f"\n- {warning}" for warning in result["warnings"])
    create_markdown_artifact(key="quality", markdown=result["says"] + warnings)


def _monitoring(result: Result) -> None:
    create_link_artifact(key="report", link=f"file://{result['report']}")
    create_table_artifact(key="alarms", table=result["alarms"], description=result["says"])


ARTIFACTS: Mapping[str, Callable[[Result], None]] = {
    "validate": _quality,
    "backtest": _scorecard,
    "gate": _decision,
    "answer": _answer,
    "monitor": _monitoring,
}


@flow(flow_run_name="ingest until {until}")
def ingest(config: Path = CONFIG, until: date | None = None) -> Result:
    """Fetch, check, append and version what became known up to `until` (default: today)."""
    return ingesting.ingest(_run(config), until)


@flow
def train(config: Path = CONFIG) -> Result:
    """Learn, examine, register and judge a challenger."""
    return training.train(_run(config))


@flow
def deploy(config: Path = CONFIG) -> Result:
    """Promote the judged challenger and see that it answers."""
    return deploying.deploy(_run(config))


@flow
def forecast(config: Path = CONFIG) -> Result:
    """Forecast every series with the champion."""
    return forecasting.forecast(_run(config))


@flow
def monitor(config: Path = CONFIG) -> Result:
    """Score what was served, look for drift, raise alarms."""
    return monitoring.monitor(_run(config))


@flow(flow_run_name="lifecycle {start} to {end}")
def lifecycle(config: Path = CONFIG, start: date | None = None, end: date | None = None) -> Result:
    """Run everything once: learn as of `start`, score as of `end` (default: the last fortnight)."""
    first, last = rehearsal(read_settings(config))
    return cycling.lifecycle(_run(config), start or first, end or last)


def _run(config: Path) -> Run:
    return telling(on_prefect(read_settings(config)))
