"""Runs of an experiment: the trials of a search, what was tried, what never ended."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MOST = 50  # runs a person reads


@dataclass(frozen=True)
class Tried:
    """One experiment that was run. `cost` and `wape` are NaN where they were not measured."""

    name: str
    on: str
    params: Mapping[str, str]
    cost: float
    wape: float


def log_trials(
    client: Any, experiment: str, trials: Sequence[tuple[Mapping[str, float], float]], name: str
) -> str:
    """Record a search as one run with a nested run per (params, cost); return its id."""
    from mlflow.entities import Param

    parent = client.create_run(experiment, run_name=name).info.run_id
    for params, cost in trials:
        run = client.create_run(experiment, tags={"mlflow.parentRunId": parent}).info.run_id
        client.log_batch(run, params=[Param(key, str(value)) for key, value in params.items()])
        client.log_metric(run, "cost", cost)
        client.set_terminated(run, "FINISHED")
    client.log_metric(parent, "cost", min(cost for _, cost in trials))
    client.set_terminated(parent, "FINISHED")
    return str(parent)


def tried(client: Any, experiment: str) -> list[Tried]:
    """Return the latest finished runs that have a cost, newest first."""
    found = client.search_runs(
        [experiment], "attributes.status = 'FINISHED' and metrics.cost >= 0", max_results=MOST
    )
    return [
        Tried(
            run.info.run_name,
            f"{datetime.fromtimestamp(run.info.start_time / 1000, UTC):%Y-%m-%d %H:%M}",
            dict(run.data.params),
            run.data.metrics["cost"],
            run.data.metrics.get("wape", float("nan")),
        )
        for run in found
    ]


def stalled(client: Any, experiment: str, hours: float) -> list[str]:
    """Return the ids of runs that began more than `hours` ago and never ended."""
    started = int((time.time() - 3600 * hours) * 1000)
    asked = f"attributes.status = 'RUNNING' and attributes.start_time < {started}"
    return [run.info.run_id for run in client.search_runs([experiment], asked)]
