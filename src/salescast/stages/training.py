"""Train: fit the model on everything known at the last origin, and its twin without weather."""

from collections import deque
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from salescast import registry
from salescast.contract.schema import last_day
from salescast.data import store, versions
from salescast.data.files import read_frame, read_runs, replace, write_json
from salescast.evaluation.backtest import Recipe
from salescast.evaluation.importance import importance
from salescast.features import point_in_time as feature
from salescast.models import kind_class, make
from salescast.models.forecaster import Forecaster, training_rows
from salescast.ordering.replenishment import LEARN_FROM, learn_dependence, recent_demand
from salescast.settings import Settings
from salescast.stages.configured import recipe
from salescast.stages.progress import steps

SAMPLED_ORIGINS = 4  # on which the importance of features is measured


def train(settings: Settings) -> dict[str, Any]:
    """Fit the model on everything known at the last origin."""
    versions.require_files(settings.root)
    tables = store.read_all(settings.data)
    origin, how = last_day(tables), recipe(settings, tables)
    happened = feature.past(tables, origin)
    rows, recent = _training_rows(settings)
    steps.debug("fits %s to %s rows", how.kind, f"{len(rows):,}")
    model = make(how.kind, how.params, how.seed).fit(rows, happened)
    steps.debug("fits it without weather")
    blind_rows = feature.without_weather(rows)
    fallback = make(how.kind, how.params, how.seed).fit(blind_rows, happened)
    dependence_of_days = learn_dependence(model, recent, recent_demand(model, happened))
    payload = {
        "model": model,
        "dependence": asdict(dependence_of_days),
        "contract": _contract(settings, how, origin),
    }
    _write_model(settings, "model.skops", payload)
    _write_model(settings, "fallback.skops", {"model": fallback})
    write_json(settings.build / "importance.json", _importance(settings, model, recent, happened))
    return {
        "rows": len(happened),
        "trained_until": model.trained_until_,
        "summary": f"{how.kind} on {len(happened):,} days of sales until {model.trained_until_}",
    }


def _training_rows(settings: Settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows to fit to, and those of the last origins, whose residuals are measured.

    Where the chain is in partitions, its rows are many: a model that reads nothing of them but each
    place's weather gets one series of each place.
    """
    path = settings.build / "features.parquet"
    if settings.scale.partitions == 1 or not kind_class(settings.model.kind).learns_from_places:
        rows = read_frame(path, "features")
        return rows, rows
    thin, recent = [], deque[pd.DataFrame](maxlen=LEARN_FROM)
    for rows in read_runs(path, "features"):
        thin.append(rows.drop_duplicates(["location_id", "lead_time"]))
        recent.append(rows)
    return pd.concat(thin, ignore_index=True), pd.concat(recent, ignore_index=True)


def _importance(
    settings: Settings, model: Forecaster, rows: pd.DataFrame, happened: pd.DataFrame
) -> dict[str, float]:
    """Return how much the model relies on each group of features, over its last origins."""
    known = training_rows(rows, happened)
    sample = known[known["origin"].isin(np.sort(known["origin"].unique())[-SAMPLED_ORIGINS:])]
    actual, levels = sample["units"].to_numpy(float), settings.forecast.quantiles
    return importance(model, sample, actual, levels, settings.model.seed)


def _contract(settings: Settings, how: Recipe, origin: pd.Timestamp) -> dict[str, Any]:
    """Return what a server must know to use the model: inputs, outputs and costs."""
    return {
        "origin": f"{origin:%Y-%m-%d}",
        "horizon": settings.forecast.horizon,
        "weather": "none" if settings.features.weather == "none" else "issued",
        "quantiles": list(how.quantiles),
        "critical": dict(how.critical),
    }


def _write_model(settings: Settings, name: str, payload: dict[str, Any]) -> None:
    trusted = settings.model.trusted_types
    write = partial(registry.write_model, payload=payload, trusted=trusted)
    replace(settings.build / name, write)
