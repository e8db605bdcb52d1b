"""What is measured on the model that would serve, for the gate's checks of it."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from salescast.contract.schema import Tables
from salescast.evaluation.backtest import CHALLENGER
from salescast.evaluation.controls import differing, future_poison
from salescast.features import point_in_time as feature
from salescast.features.point_in_time import KEYS
from salescast.models.forecaster import forecast

REFIT_ORIGINS = 4  # the newest, at which the refit is compared with the judged fit
TIMINGS = 5  # of which the fastest counts
REFERENCE_SECONDS = 0.004  # of CPU, for the reference computation on a quiet machine of 2024

Payload = Mapping[str, Any]


def poisoned_share(payload: Payload, tables: Tables, origins: Sequence[pd.Timestamp]) -> float:
    """Return the share of rows learned from or forecast that a poisoned future changes."""
    return future_poison(partial(_learned_and_forecast, payload), tables, origins)


def skewed_share(
    registered: Payload,
    batch: Payload,
    tables: Tables,
    rows: pd.DataFrame,
    origins: Sequence[pd.Timestamp],
) -> float:
    """Return the largest share of rows that the registry's copy forecasts differently.

    The registry's copy forecasts from the tables, `batch` from the feature `rows`.
    """
    return max(
        differing(_forecast_at(registered, tables, day), _forecast(batch, _at(rows, [day])))
        for day in origins
    )


def refit_change(payload: Payload, rows: pd.DataFrame, predictions: pd.DataFrame) -> float:
    """Return Σ|mean − mean of the judged fit| ÷ Σ mean of the judged fit, at the newest origins."""
    judged = predictions[predictions["model"] == CHALLENGER]
    newest = sorted(judged["origin"].unique())[-REFIT_ORIGINS:]
    refit = _forecast(payload, _at(rows, newest))[[*KEYS, "mean"]]
    both = _at(judged, newest)[[*KEYS, "mean"]].merge(refit, on=[*KEYS], suffixes=("", "_refit"))
    return float((both["mean_refit"] - both["mean"]).abs().sum() / both["mean"].sum())


def rows_per_second(payload: Payload, rows: pd.DataFrame) -> float:
    """Return how many rows a second the model forecasts, one series at a time, on a quiet machine.

    Forecasts and a reference computation are timed in turn, in seconds of this process's CPU: what
    the machine does meanwhile slows both and cancels out.
    """
    series = rows.iloc[: payload["contract"]["horizon"]]
    ratios = [
        _cpu_seconds(partial(_forecast, payload, series)) / _cpu_seconds(_reference_computation)
        for _ in range(TIMINGS)
    ]
    return len(series) / (max(min(ratios), 1e-9) * REFERENCE_SECONDS)


def _cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return max(time.process_time() - start, 1e-6)


def _reference_computation() -> object:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"key": rng.integers(0, 100, 20_000), "value": rng.random(20_000)})
    return rows.groupby("key")["value"].quantile([0.1, 0.5, 0.9])


def _at(rows: pd.DataFrame, origins: Sequence[pd.Timestamp]) -> pd.DataFrame:
    return rows[rows["origin"].isin(origins)].reset_index(drop=True)


def _learned_and_forecast(
    payload: Payload, tables: Tables, origin: pd.Timestamp
) -> list[pd.DataFrame]:
    return [feature.past(tables, origin), _forecast_at(payload, tables, origin)]


def _forecast_at(payload: Payload, tables: Tables, origin: pd.Timestamp) -> pd.DataFrame:
    contract = payload["contract"]
    rows = feature.build(tables, [origin], contract["horizon"], contract["weather"])
    return _forecast(payload, rows)


def _forecast(payload: Payload, rows: pd.DataFrame) -> pd.DataFrame:
    contract = payload["contract"]
    return forecast(payload["model"], rows, contract["quantiles"], contract["critical"])
