"""From tables to a fitted, backtested model, all of it reproducible from files and settings."""

import dataclasses
import json
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from salescast import registry, reports
from salescast.contract import schema
from salescast.contract.schema import Tables, last_day
from salescast.data import store
from salescast.data.files import read_frame, read_runs, replace, write_frame, write_json
from salescast.errors import ConfigError
from salescast.evaluation.backtest import (
    CHALLENGER,
    SEGMENTS,
    Fit,
    Recipe,
    fits,
    outcomes,
    predictions_of,
    scorecard,
    served_by,
)
from salescast.evaluation.importance import importance
from salescast.evaluation.rehearsal import rehearse
from salescast.features import point_in_time as feature
from salescast.models.estimator import PATH
from salescast.models.fallback import blind
from salescast.models.forecaster import Model, as_payload, fit, training_rows
from salescast.models.response import NEVER, estimate
from salescast.ordering.orders import Cycle, unit_costs
from salescast.ordering.replenishment import LEARN_FROM, dependence, position, truth_for
from salescast.settings import Settings
from salescast.stages.feature_table import build_rows, origins
from salescast.stages.search import SPACES, Space, search

EPOCH = date(1970, 1, 1)
OTHERS = {"kind", "seed", "since", "estimator", "estimator_params", "estimator_space"}
OTHERS |= {"trusted_types"}  # none of them a parameter of ours


def recipe(settings: Settings, tables: Tables) -> Recipe:
    """Return how the model is made, from the settings and the items' costs."""
    costs = unit_costs(schema.latest("items", tables["items"]))
    return Recipe(
        settings.model.kind,
        _params(settings),
        settings.model.seed,
        settings.forecast.quantiles,
        dict(zip(costs["item_id"], costs["critical_ratio"], strict=True)),
    )


def _params(settings: Settings) -> dict[str, Any]:
    if settings.model.kind == "estimator":
        return {PATH: settings.model.estimator, **settings.model.estimator_params}
    told = settings.model.model_dump(exclude=OTHERS)
    since = settings.model.since
    return told | {"since": float((since - EPOCH).days) if since else NEVER}


def backtest(settings: Settings) -> dict[str, Any]:
    """Score the recipe and the baselines at rolling origins, as they would have been served."""
    tables = store.read_all(settings.data)
    rows = read_frame(settings.build / "features.parquet", "features")
    how = recipe(settings, tables)
    _, tested = origins(settings, tables)
    past_at = partial(feature.past, tables)
    fitted = fits(rows, past_at, tested, settings.backtest.refit_every, how)
    predictions = predictions_of(fitted, how)
    write_frame(settings.build / "predictions.parquet", predictions)
    truth = estimate(past_at(last_day(tables)))
    card = scorecard(_with_outcomes(tables, predictions, truth), settings.forecast.quantiles)
    card["inventory"] = _rehearsed(settings, tables, fitted, truth)
    write_json(settings.build / "scorecard.json", card)
    write_json(settings.build / "metrics.json", card["models"][CHALLENGER]["overall"])
    _write_plots(settings, card)
    reports.write_scorecard(card, settings.build / "scorecard.html", settings.product.currency)
    ours = card["models"][CHALLENGER]["overall"]
    return {
        "scorecard": card,
        "summary": f"{len(tested)} origins: WAPE {ours['wape']:.3f}, bias {ours['bias']:+.1%}, "
        f"cost {ours['cost_per_year']:,.0f} {settings.product.currency} a year, "
        f"skill {ours['skill']:.0%}",
    }


def scored(tables: Tables, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions with their outcomes as known today, and their costs."""
    return _with_outcomes(tables, predictions, estimate(feature.past(tables, last_day(tables))))


def _with_outcomes(tables: Tables, predictions: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    costs = unit_costs(schema.latest("items", tables["items"]))
    return outcomes(predictions, truth, costs)


def cycle_of(settings: Settings) -> Cycle:
    """Return how often orders are placed, how long they take and when holding is charged."""
    return Cycle(settings.costs.review_days, settings.costs.delivery_days, settings.costs.held)


def _rehearsed(
    settings: Settings, tables: Tables, fitted: Sequence[Fit], truth: pd.DataFrame
) -> dict[str, dict[str, float]]:
    """Return what ordering at each cutoff would have cost; nothing where they lie too far apart."""
    cycle = dataclasses.replace(cycle_of(settings), review_days=settings.backtest.every_days)
    if cycle.interval > settings.forecast.horizon:
        return {}
    first = fitted[0].served
    stock = position(tables, first["origin"].min(), first.drop_duplicates(["store_id", "item_id"]))
    return rehearse(fitted, truth, stock, cycle)


def _write_plots(settings: Settings, card: dict[str, Any]) -> None:
    """Write one CSV per segment for `dvc plots`: model, segment value and scores."""
    for segment, column in SEGMENTS.items():
        rows = [
            {"model": name, column: key} | values
            for name, of_model in card["models"].items()
            for key, values in of_model[segment].items()
        ]
        frame = pd.DataFrame(rows)
        path = settings.build / "plots" / f"{segment}.csv"
        replace(path, partial(frame.to_csv, index=False))


def train(settings: Settings) -> dict[str, Any]:
    """Fit the model on everything known at the last origin."""
    how, origin, happened = _known(settings)
    rows, recent = _training(settings)
    model = fit(rows, happened, how.kind, how.params, how.seed)
    told = dependence(model, recent, truth_for(model, happened))
    payload = {
        "model": as_payload(model),
        "dependence": dataclasses.asdict(told),
        "contract": contract(settings, how, origin),
    }
    trusted = settings.model.trusted_types
    replace(
        settings.build / "model.skops", lambda part: registry.write_model(part, payload, trusted)
    )
    twin = {"model": as_payload(fit(blind(rows), happened, how.kind, how.params, how.seed))}
    replace(
        settings.build / "fallback.skops", lambda part: registry.write_model(part, twin, trusted)
    )
    weigh(settings, model, recent, happened)
    return {
        "rows": len(happened),
        "trained_until": model.trained_until,
        "summary": f"{how.kind} on {len(happened):,} sold days until {model.trained_until}",
    }


def _known(settings: Settings) -> tuple[Recipe, pd.Timestamp, pd.DataFrame]:
    """Return how to learn, from which origin, and what had happened there."""
    tables = store.read_all(settings.data)
    origin = last_day(tables)
    return recipe(settings, tables), origin, feature.past(tables, origin)


def _training(settings: Settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows to fit to, and those of the last origins, whose residuals are looked at.

    Where the chain is in partitions, its rows are many: the integrated model learns its response
    from what happened, and asks of the rows nothing but each place's weather.
    """
    path = settings.build / "features.parquet"
    if settings.scale.partitions == 1 or settings.model.kind != "integrated":
        rows = read_frame(path, "features")
        return rows, rows
    thin, recent = [], deque[pd.DataFrame](maxlen=LEARN_FROM)
    for rows in read_runs(path, "features"):
        thin.append(rows.drop_duplicates(["location_id", "lead_time"]))
        recent.append(rows)
    return pd.concat(thin, ignore_index=True), pd.concat(recent, ignore_index=True)


def weigh(
    settings: Settings, model: Model, rows: pd.DataFrame, happened: pd.DataFrame
) -> dict[str, float]:
    """Write what the model leans on, by group of features, over its last four training origins."""
    known = training_rows(rows, happened)
    last = np.sort(known["origin"].unique())[-4:]
    sample = known[known["origin"].isin(last)]
    actual, levels = sample["units"].to_numpy(float), settings.forecast.quantiles
    leans = importance(model, sample, actual, levels, settings.model.seed)
    write_json(settings.build / "importance.json", leans)
    return leans


SEARCHED = 6  # origins a trial is judged by, all before the backtest's, which must not be tuned on


def tune(settings: Settings, trials: int) -> dict[str, Any]:
    """Search hyperparameters at origins before the backtest's and log each trial to MLflow.

    Returns `params`, the cheapest ones, and as `variables` of the environment, for the stages.
    """
    tables, plan = store.read_all(settings.data), settings.backtest
    trained, tested = origins(settings, tables)
    week = pd.Timedelta(days=plan.every_days)
    judged = [tested[0] - week * i for i in range(2, 2 + SEARCHED)][::-1]
    rows = build_rows(settings, tables, trained, judged)
    how = recipe(settings, tables)
    happened = feature.past(tables, judged[0])
    known, served = rows[rows["origin"] < judged[0]], rows[rows["origin"].isin(judged)]
    truth = estimate(feature.past(tables, last_day(tables)))
    costs = unit_costs(schema.latest("items", tables["items"]))

    def cost_of(params: dict[str, float]) -> float:
        model = fit(known, happened, how.kind, {**how.params, **params}, how.seed)
        said = served_by(model, served, how, CHALLENGER)
        return float(outcomes(said, truth, costs)["cost"].mean())

    found = search(_space(settings), how.params, cost_of, trials, how.seed)
    kept = settings.artifacts, settings.artifacts_uri
    tracking = registry.Registry(settings.mlflow_uri, settings.product.model, *kept)
    tracking.log_search([(t.params, t.cost) for t in found], f"search {how.kind}")
    best = found[0]
    summary = f"{trials} trials of {how.kind}: {best.cost:.4f} a series-day with " + ", ".join(
        f"{name} {value:.3g}" for name, value in best.params.items()
    )
    return {
        "params": dict(best.params),
        "variables": _variables(how.kind, best.params),
        "cost": best.cost,
        "summary": summary,
    }


def _space(settings: Settings) -> Space:
    kind = settings.model.kind
    space = settings.model.estimator_space if kind == "estimator" else SPACES[kind]
    if not space:
        raise ConfigError("model.estimator_space is empty; name what to search: alpha = [0.01, 10]")
    return space


def _variables(kind: str, params: Mapping[str, float]) -> dict[str, str]:
    if kind == "estimator":  # as one table, since the case of its names matters
        return {"SALESCAST_MODEL__ESTIMATOR_PARAMS": json.dumps(dict(params))}
    return {f"SALESCAST_MODEL__{name.upper()}": str(value) for name, value in params.items()}


def contract(settings: Settings, how: Recipe, origin: pd.Timestamp) -> dict[str, Any]:
    """Return what a server must know to ask the model: inputs, outputs and costs."""
    return {
        "origin": f"{origin:%Y-%m-%d}",
        "horizon": settings.forecast.horizon,
        "weather": "none" if settings.features.weather == "none" else "issued",
        "quantiles": list(how.quantiles),
        "critical": dict(how.critical),
    }
