"""Rolling origins, scored as served: per lead day, store and item, in units and in money."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from salescast.errors import NotEnoughHistoryError
from salescast.evaluation import metrics
from salescast.features.point_in_time import KEYS, without_weather
from salescast.models import BASELINES, make
from salescast.models.forecaster import Forecaster, forecast, quantile_column
from salescast.ordering.orders import newsvendor_cost

steps = logging.getLogger("salescast.steps")

CHALLENGER = "challenger"
BLIND = "blind"  # the challenger's recipe without weather, beside a challenger that has some
SEGMENTS: Mapping[str, str] = {
    "by_lead": "lead_time",
    "by_store": "store_id",
    "by_item": "item_id",
    "by_season": "season",
    "by_rain": "rain",
}
SEASONS = ("winter", "spring", "summer", "autumn")
YEAR_DAYS = 365.25
PastAt = Callable[[pd.Timestamp], pd.DataFrame]


@dataclass(frozen=True)
class Recipe:
    """How a model is made and what it is asked for: enough to make it again."""

    kind: str
    params: Mapping[str, Any]
    seed: int
    quantiles: Sequence[float]
    critical: Mapping[str, float]


def cutoffs(last: pd.Timestamp, count: int, every_days: int, horizon: int) -> list[pd.Timestamp]:
    """Return the origins of a backtest, oldest first; the newest has its horizon behind it."""
    newest = pd.Timestamp(last).normalize() - pd.Timedelta(days=horizon)
    return [newest - pd.Timedelta(days=every_days * i) for i in reversed(range(count))]


@dataclass(frozen=True)
class Fit:
    """A model fitted at a cutoff from `known` rows and what had `happened`, for `served` rows."""

    name: str
    model: Forecaster
    known: pd.DataFrame
    happened: pd.DataFrame
    served: pd.DataFrame


def run(
    rows: pd.DataFrame,
    past_at: PastAt,
    origins: Sequence[pd.Timestamp],
    refit_every: int,
    recipe: Recipe,
) -> pd.DataFrame:
    """Return the predictions of the recipe and the baselines at each origin; see `fits`.

    Columns: model, then those of `forecast`.
    """
    return predictions_of(fits(rows, past_at, origins, refit_every, recipe), recipe)


def predictions_of(fitted: Sequence[Fit], recipe: Recipe) -> pd.DataFrame:
    """Return what each fit predicts for the rows it served, under its name."""
    parts = [served_by(each.model, each.served, recipe, each.name) for each in fitted]
    return pd.concat(parts, ignore_index=True)


def fits(
    rows: pd.DataFrame,
    past_at: PastAt,
    origins: Sequence[pd.Timestamp],
    refit_every: int,
    recipe: Recipe,
) -> list[Fit]:
    """Return the recipe, its blind twin and the baselines as they would have been fitted.

    `rows`: features of training and backtest origins; `past_at(cutoff)`: outcomes as known at
    a cutoff. A fit at a cutoff sees only what was known there and serves `refit_every` origins.
    Raises NotEnoughHistoryError when no row lies before the first origin.
    """
    found = []
    weather = bool(rows["rain_probability"].notna().any())
    for start in range(0, len(origins), refit_every):
        block = list(origins[start : start + refit_every])
        steps.debug("fits at cutoff %d of %d", start + 1, len(origins))
        known = rows[rows["origin"] < block[0]]
        if known.empty:
            raise NotEnoughHistoryError(
                f"nothing is known before the cutoff {block[0]:%Y-%m-%d}; lower backtest.cutoffs "
                "or ingest more days"
            )
        served, happened = rows[rows["origin"].isin(block)], past_at(block[0])
        found += [
            Fit(name, _fit(name, known, happened, recipe), known, happened, served)
            for name in (CHALLENGER, *BASELINES)
        ]
        if weather:
            sees = without_weather(known)
            blind = _fit(CHALLENGER, sees, happened, recipe)
            found.append(Fit(BLIND, blind, sees, happened, without_weather(served)))
    return found


def _fit(name: str, known: pd.DataFrame, happened: pd.DataFrame, recipe: Recipe) -> Forecaster:
    kind = recipe.kind if name == CHALLENGER else name
    return make(kind, recipe.params, recipe.seed).fit(known, happened)


def served_by(model: Forecaster, rows: pd.DataFrame, recipe: Recipe, name: str) -> pd.DataFrame:
    """Return what `model` predicts for `rows`, under the name `name`."""
    predicted = forecast(model, rows, recipe.quantiles, recipe.critical)
    predicted.insert(0, "model", name)
    return predicted


def outcomes(predictions: pd.DataFrame, truth: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions whose outcome is known, with `actual`, `sold_out` and `cost`.

    `truth`: `demand.uncensor` of the past as known today, so that `actual` is demand, not only
    what was left to sell; `costs`: see `orders.unit_costs`. `cost` is the newsvendor cost of one
    day, in money.
    """
    key = ["store_id", "item_id", "date"]
    kept = truth[[*key, "demand", "sold_out", "rain_probability"]]
    scored = predictions.merge(kept.rename(columns={"demand": "actual"}), on=key)
    scored = scored.merge(costs[["item_id", "underage", "overage"]], on="item_id")
    columns = (scored[c].to_numpy(float) for c in ("actual", "stock_target", "underage", "overage"))
    scored["cost"] = newsvendor_cost(*columns)
    scored["rain"] = np.where(scored.pop("rain_probability") >= 0.5, "wet", "dry")
    scored["season"] = np.array(SEASONS)[scored["date"].dt.month.to_numpy() % 12 // 3]
    return scored.sort_values(["model", *KEYS], ignore_index=True)


def scores(scored: pd.DataFrame, quantiles: Sequence[float]) -> dict[str, float]:
    """Return the scores of one model's scored rows; costs in money per series and day."""
    actual = scored["actual"].to_numpy(float)
    expected, median = scored["mean"].to_numpy(), scored["p50"].to_numpy()
    levels = scored[[quantile_column(q) for q in quantiles]].to_numpy()
    return {
        "wape": metrics.wape(actual, median),
        "bias": metrics.bias(actual, expected),
        "rmse": metrics.rmse(actual, expected),
        "wql": metrics.wql(actual, levels, quantiles),
        "coverage_80": metrics.coverage(actual, scored["p10"].to_numpy(), scored["p90"].to_numpy()),
        "cost": float(scored["cost"].mean()) if len(scored) else float("nan"),
        "rows": float(len(scored)),
    }


def scorecard(scored: pd.DataFrame, quantiles: Sequence[float]) -> dict[str, Any]:
    """Return scores per model: overall and by segment, with money per year.

    `cost_per_year` is for the whole chain: cost of a day × 365.25; closed days cost nothing.
    `skill` is 1 − cost ÷ cost of the seasonal naive. `saved` is what the challenger saves a year
    against each baseline, with a 90 % bootstrap interval over origins.
    """
    series = scored[["store_id", "item_id"]].drop_duplicates().shape[0]
    card: dict[str, dict[str, Any]] = {}
    for name, rows in scored.groupby("model"):
        overall = scores(rows, quantiles)
        overall["cost_per_year"] = float(rows["cost"].sum()) / _days(rows) * YEAR_DAYS
        card[str(name)] = {"overall": overall} | {
            segment: {str(key): scores(part, quantiles) for key, part in rows.groupby(column)}
            for segment, column in SEGMENTS.items()
        }
    naive = card["seasonal_naive"]["overall"]["cost"]
    for of_model in card.values():
        of_model["overall"]["skill"] = metrics.skill(of_model["overall"]["cost"], naive)
    origins = np.sort(scored["origin"].unique())
    return {
        "origins": [f"{pd.Timestamp(o):%Y-%m-%d}" for o in origins],
        "series": series,
        "censored": float(scored["sold_out"].mean()),
        "saved": {name: _saved(scored, name) for name in card if name != CHALLENGER},
        "models": card,
    }


def _saved(scored: pd.DataFrame, name: str) -> dict[str, float]:
    spent = scored.groupby(["model", "origin"])["cost"].sum()
    per_day = (spent[name] - spent[CHALLENGER]).dropna() / scored["lead_time"].max()
    per_origin = list(per_day * YEAR_DAYS)
    low, high = metrics.bootstrap(per_origin, [0.05, 0.95], seed=0)
    return {"mean": float(np.mean(per_origin)), "low": low, "high": high}


def _days(rows: pd.DataFrame) -> int:
    """Return how many days were forecast, closed ones included, counting each origin's anew."""
    return int(rows["origin"].nunique() * rows["lead_time"].max())


def saving(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[float]:
    """Return the money saved per series-day at each common origin: theirs − ours."""
    mean_cost = [frame.groupby("origin")["cost"].mean() for frame in (theirs, ours)]
    return list((mean_cost[0] - mean_cost[1]).dropna())
