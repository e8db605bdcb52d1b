"""Rolling-origin backtest: forecasts as served, scored in units and in money."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from salescast.errors import NotEnoughHistoryError
from salescast.evaluation import metrics
from salescast.evaluation.inference import interval
from salescast.features.point_in_time import KEYS, without_weather
from salescast.models import BASELINES, make
from salescast.models.forecaster import Forecaster, forecast, quantile_column
from salescast.ordering.orders import newsvendor_cost

steps = logging.getLogger("salescast.steps")

CHALLENGER = "challenger"
BLIND = "blind"  # the challenger's recipe without weather
SEGMENTS: Mapping[str, str] = {
    "by_lead": "lead_time",
    "by_store": "store_id",
    "by_item": "item_id",
    "by_season": "season",
    "by_rain": "rain",
}
SEASONS = ("winter", "spring", "summer", "autumn")
YEAR_DAYS = 365.25
SIDE_ERROR = 0.05  # of each side of the interval of a saving
PastAt = Callable[[pd.Timestamp], pd.DataFrame]


@dataclass(frozen=True)
class Recipe:
    """Everything needed to fit a model again and to repeat its forecasts."""

    kind: str
    params: Mapping[str, Any]
    seed: int
    quantiles: Sequence[float]
    critical: Mapping[str, float]


def cutoffs(last: pd.Timestamp, count: int, every_days: int, horizon: int) -> list[pd.Timestamp]:
    """Return the origins of a backtest, oldest first; the newest has its whole horizon known."""
    newest = pd.Timestamp(last).normalize() - pd.Timedelta(days=horizon)
    return [newest - pd.Timedelta(days=every_days * i) for i in reversed(range(count))]


@dataclass(frozen=True)
class Fit:
    """A model fitted from `known` rows and outcomes that had `happened`, for `served` rows."""

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
    """Return the forecasts of all fits for the rows they serve, with their names in `model`."""
    parts = [served_by(fit.model, fit.served, recipe, fit.name) for fit in fitted]
    return pd.concat(parts, ignore_index=True)


def fits(
    rows: pd.DataFrame,
    past_at: PastAt,
    origins: Sequence[pd.Timestamp],
    refit_every: int,
    recipe: Recipe,
) -> list[Fit]:
    """Return fits of the recipe, its blind twin and the baselines, as known at each cutoff.

    `rows`: features of training and backtest origins; `past_at(cutoff)`: outcomes as known at
    a cutoff. A fit uses only rows known at its cutoff and serves `refit_every` origins.
    Raises NotEnoughHistoryError when no row lies before the first origin.
    """
    fitted = []
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
        fitted += [
            Fit(name, _fit(name, known, happened, recipe), known, happened, served)
            for name in (CHALLENGER, *BASELINES)
        ]
        if weather:
            blind_rows = without_weather(known)
            blind = _fit(CHALLENGER, blind_rows, happened, recipe)
            fitted.append(Fit(BLIND, blind, blind_rows, happened, without_weather(served)))
    return fitted


def _fit(name: str, known: pd.DataFrame, happened: pd.DataFrame, recipe: Recipe) -> Forecaster:
    kind = recipe.kind if name == CHALLENGER else name
    return make(kind, recipe.params, recipe.seed).fit(known, happened)


def served_by(model: Forecaster, rows: pd.DataFrame, recipe: Recipe, name: str) -> pd.DataFrame:
    """Return the forecasts of `model` for `rows`, with `name` in the column `model`."""
    predicted = forecast(model, rows, recipe.quantiles, recipe.critical)
    predicted.insert(0, "model", name)
    return predicted


def outcomes(predictions: pd.DataFrame, truth: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions whose outcome is known, with `actual`, `sold_out` and `cost`.

    `truth`: `response.uncensor` of the past as known today, so that `actual` is demand, not only
    sales; `costs`: see `orders.unit_costs`. `cost` is the newsvendor cost of one
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
    `skill` is 1 − cost ÷ cost of the seasonal naive. `saved` is the challenger's saving a year
    against each baseline, with a 90 % confidence interval over origins (see `inference`).
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
    for model in card.values():
        model["overall"]["skill"] = metrics.skill(model["overall"]["cost"], naive)
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
    per_year = (per_day * YEAR_DAYS).to_numpy(float)
    low, high = interval(per_year, SIDE_ERROR)
    return {"mean": float(per_year.mean()), "low": low, "high": high}


def _days(rows: pd.DataFrame) -> int:
    """Return the number of days forecast: origins × horizon, closed days included."""
    return int(rows["origin"].nunique() * rows["lead_time"].max())
