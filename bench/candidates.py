"""Models the product does not ship: twins that make a point, and what was tried and dropped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import PoissonRegressor
from sklearn.preprocessing import StandardScaler

from bench.retail import World, blocks
from salescast.evaluation.controls import foresighted
from salescast.features.drivers import WET_MM
from salescast.features.point_in_time import HISTORY
from salescast.models import make, response
from salescast.models.forecaster import Forecaster, forecast, quantile_column, training_rows
from salescast.models.point_models import NUMBERS, SeasonalNaive
from salescast.ordering.orders import Values

PAIR = ["location_id", "date"]
NEVER = pd.Series(pd.NaT, dtype="datetime64[us]")
SPECIAL = ("storm", "surprise", "weekend_wet", "weekend_amount")


def as_it_came(rows: pd.DataFrame, happened: pd.DataFrame) -> pd.DataFrame:
    """Return feature rows with the weather that came in place of the issue: a leak."""
    return foresighted(rows, happened)


def as_if_it_came(rows: pd.DataFrame) -> pd.DataFrame:
    """Return feature rows with the issue taken for an observation: what is likely is certain."""
    certain = {name: (rows[name] >= 0.5).astype(float) for name in ("storm", "spell")}
    wet = (rows["rain_mm"] >= WET_MM).astype(float)
    unissued = NEVER.reindex(range(len(rows))).array
    return rows.assign(rain_probability=wet, **certain, issued_at=unissued)


def weather_twin(seen: World, kind: str, name: str, how: str = "as if it came") -> pd.DataFrame:
    """Return predictions of a model trained on observed weather and served what `how` says.

    "as it came": the leak, weather nobody could know; "as if it came": the naive twin, forecasts
    fed into a model that has only met observations.
    """
    truth = seen.past(seen.tables["sales"]["date"].max())
    parts = []
    for known, happened, served in blocks(seen):
        fitted = _trained_on_observed(seen, kind, known, happened)
        rows = as_it_came(served, truth) if how == "as it came" else as_if_it_came(served)
        parts.append(forecast(fitted, rows, seen.recipe.quantiles, seen.recipe.critical))
    return pd.concat(parts, ignore_index=True).assign(model=name)


def _trained_on_observed(
    seen: World, kind: str, known: pd.DataFrame, happened: pd.DataFrame
) -> Forecaster:
    how = seen.recipe
    if kind != "integrated":
        return make(kind, how.params, how.seed).fit(as_it_came(known, happened), happened)
    fitted = make(kind, how.params, how.seed).fit(known, happened)
    # The amount is taken as issued, without the spread around it.
    fitted.calibration_ = replace(fitted.calibration_, normal_shape=1e6)
    return fitted


@contextmanager
def without_special_terms() -> Iterator[None]:
    """Take storm, surprise, weekend and saturation out of the model, fitted and served within.

    From outside: the product has no use for a switch that makes it worse.
    """
    full, limit = response.terms, response.SATURATION_MM
    kept = np.array([name not in SPECIAL for name in response.TERMS], dtype=float)

    def plain(rows: pd.DataFrame, wet: Values, rain_mm: Values, *days: float) -> Values:
        return full(rows, wet, rain_mm, *days) * kept

    response.terms, response.SATURATION_MM = plain, np.inf
    try:
        yield
    finally:
        response.terms, response.SATURATION_MM = full, limit


def poisson_glm(seen: World, name: str) -> pd.DataFrame:
    """Return predictions of a log-linear Poisson model on as-issued features and an exposure."""
    parts = []
    for known, happened, served in blocks(seen):
        train = training_rows(known, happened)
        weights = _glm(train)
        with_mean = [rows.assign(**{name: weights(rows)}) for rows in (train, served)]
        parts.append(around_mean(seen, name, *with_mean))
    return pd.concat(parts, ignore_index=True)


def _glm(train: pd.DataFrame) -> Callable[[pd.DataFrame], NDArray[np.float64]]:
    level = train["level"].to_numpy()
    scaler = StandardScaler().fit(_design(train))
    line = PoissonRegressor(alpha=1e-4, max_iter=300, solver="newton-cholesky")
    line.fit(scaler.transform(_design(train)), train["units"].to_numpy() / level, level)
    return lambda rows: line.predict(scaler.transform(_design(rows))) * rows["level"].to_numpy()


def _design(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return terms (n, …): each issued term also by item, the chance of rain also by weekend."""
    day = rows["date"].to_numpy().astype("datetime64[D]").astype(float)
    angle = 2 * np.pi * day / 365.25
    chance, mm = rows["rain_probability"].to_numpy(), rows["rain_mm"].to_numpy()
    weekday = rows["weekday"].to_numpy()
    issued = [chance, chance * np.log1p(mm / np.maximum(chance, 0.05)), rows["temp_anomaly"]]
    issued += [rows["promo"].to_numpy(), np.log(rows["price_ratio"].to_numpy())]
    items = [(rows["item_id"] == item).to_numpy(float) for item in sorted(set(rows["item_id"]))]
    past = [np.log(rows[c].fillna(1.0).clip(0.05, 20.0)) for c in HISTORY]
    lately = [rows["wet_share"], rows["storm"], chance * rows["spell"], rows["christmas"]]
    cycles = [np.cos(angle), np.sin(angle), *(weekday == d for d in range(6))]
    by_item = [of * term for of in items for term in issued]
    terms = [*cycles, *past, *lately, chance * (weekday >= 5), *issued, *by_item]
    return np.column_stack(terms).astype(float)


def around_mean(seen: World, name: str, train: pd.DataFrame, served: pd.DataFrame) -> pd.DataFrame:
    """Return counts around the means in column `name`, as spread as the errors in training.

    The same distribution the product puts around its own boosting.
    """
    items, item = np.unique(train["item_id"].to_numpy(str), return_inverse=True)
    sold, mean = train["units"].to_numpy(float), train[name].to_numpy(float)
    k = response.dispersion((sold - mean) ** 2, mean, item, len(items))
    model = SeasonalNaive()  # repeats a column, whichever it is told to
    model.column, model.dispersion_ = name, dict(zip(items, k, strict=True))
    found = forecast(model, served, seen.recipe.quantiles, seen.recipe.critical)
    return found.assign(model=name)


QUANTILE_ROWS = 40_000  # of training, drawn at random: one forest per level is slow
HELD_OUT_DAYS = 84


def quantile_boosting(seen: World, name: str) -> pd.DataFrame:
    """Return predictions of one forest per quantile, conformal on the last weeks of training.

    Romano, Patterson & Candès (2019), one side per level: each level is moved, per lead band, by
    what its share of outcomes below asks for, in units of the level of the series.
    """
    parts = []
    for known, happened, served in blocks(seen):
        train = training_rows(known, happened)
        train = train.sample(min(QUANTILE_ROWS, len(train)), random_state=seen.recipe.seed)
        parts.append(_conformal(seen, train, served).assign(model=name))
    return pd.concat(parts, ignore_index=True)


def _conformal(seen: World, train: pd.DataFrame, served: pd.DataFrame) -> pd.DataFrame:
    late = train["origin"] >= train["origin"].max() - pd.Timedelta(days=HELD_OUT_DAYS)
    early, held = train[~late], train[late]
    levels = list(seen.recipe.quantiles)
    columns = [_level(seen, early, held, served, q) for q in levels]
    values = np.sort(np.maximum(np.column_stack(columns), 0.0), axis=1)
    ratio = served["item_id"].map(seen.recipe.critical).to_numpy(float)
    target = [np.interp(r, levels, row) for r, row in zip(ratio, values, strict=True)]
    # The mean of a piecewise linear quantile function, its ends taken level.
    share = np.diff(np.r_[0.0, (np.array(levels[1:]) + levels[:-1]) / 2, 1.0])
    found = served[["store_id", "item_id", "origin", "date", "lead_time"]].reset_index(drop=True)
    found = found.assign(mean=values @ share, stock_target=np.rint(target))
    return found.assign(**{quantile_column(q): np.rint(values[:, i]) for i, q in enumerate(levels)})


def _level(
    seen: World, early: pd.DataFrame, held: pd.DataFrame, served: pd.DataFrame, quantile: float
) -> NDArray[np.float64]:
    how = seen.recipe
    trees = HistGradientBoostingRegressor(
        loss="quantile", quantile=quantile, max_iter=how.params["iterations"] // 2,
        learning_rate=how.params["learning_rate"], max_leaf_nodes=how.params["max_leaf_nodes"],
        early_stopping=False, random_state=how.seed,
    )  # fmt: skip
    names = [*NUMBERS]
    trees.fit(early[names], early["units"] / early["level"])
    missed = (held["units"] / held["level"]).to_numpy() - trees.predict(held[names])
    found = trees.predict(served[names])
    for first, last in ((1, 3), (4, 7), (8, 14)):
        here = held["lead_time"].between(first, last).to_numpy()
        found[served["lead_time"].between(first, last).to_numpy()] += np.quantile(
            missed[here], quantile
        )
    return np.asarray(found * served["level"].to_numpy())
