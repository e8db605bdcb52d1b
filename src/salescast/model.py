"""Demand given weather: gradient boosting on an exposure, and a count distribution around it.

The trees learn how far a day departs from the recent level of its series (a Poisson rate on an
exposure, Breslow & Day 1987), so busy and quiet series share what they teach. Around the mean
lies a negative binomial with variance m + m² ÷ k, k by item.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.errors import NotEnoughHistoryError
from salescast.features import CALENDAR, HISTORY, KEYS, PRICE, STATIC, WEATHER

Floats = NDArray[np.float64]

NUMBERS = (*HISTORY, *CALENDAR, *PRICE, *WEATHER)
BASELINES = ("seasonal_naive", "weekday_mean")
MIN_ROWS = 200  # fewer cannot fill two leaves of the default size
POISSON = 1e6  # a dispersion so large that the negative binomial is a Poisson


@dataclass(frozen=True)
class Model:
    """A fitted model. `trees` is None for a baseline, whose mean is a column of the rows."""

    kind: str
    trees: Any
    stores: tuple[str, ...]
    items: tuple[str, ...]
    numbers: tuple[str, ...]
    dispersion: Mapping[str, float]
    trained_until: str


def training_rows(rows: pd.DataFrame, happened: pd.DataFrame) -> pd.DataFrame:
    """Return the feature rows whose outcome is known, with `units`; days sold out are left out."""
    key = ["store_id", "item_id", "date"]
    return rows.merge(happened.loc[~happened["sold_out"], [*key, "units"]], on=key)


def fit(
    rows: pd.DataFrame, happened: pd.DataFrame, kind: str, params: Mapping[str, Any], seed: int
) -> Model:
    """Fit a model of `kind` ("boosting" or a baseline).

    `rows`: features of `features.build`; `happened`: outcomes of `features.past`, as known at the
    cutoff. Raises NotEnoughHistoryError when there are too few rows to learn from.
    """
    rows = training_rows(rows, happened)
    if len(rows) < MIN_ROWS:
        raise NotEnoughHistoryError(
            f"{len(rows)} training rows are too few (at least {MIN_ROWS}); ingest more days or "
            "lower features.origin_every_days"
        )
    model = Model(
        kind,
        None,
        tuple(sorted(rows["store_id"].unique())),
        tuple(sorted(rows["item_id"].unique())),
        tuple(name for name in NUMBERS if rows[name].notna().any()),
        {},
        f"{rows['date'].max():%Y-%m-%d}",
    )
    if kind not in BASELINES:
        model = replace(model, trees=_trees(model, rows, params, seed))
    actual = rows["units"].to_numpy(float)
    return replace(model, dispersion=dispersion(actual, mean(model, rows), rows["item_id"]))


def _trees(model: Model, rows: pd.DataFrame, params: Mapping[str, Any], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    count = len(model.numbers)
    trees = HistGradientBoostingRegressor(
        loss="poisson",
        max_iter=params["iterations"],
        learning_rate=params["learning_rate"],
        max_leaf_nodes=params["max_leaf_nodes"],
        min_samples_leaf=params["min_samples_leaf"],
        l2_regularization=params["l2_regularization"],
        categorical_features=[count, count + 1],
        early_stopping=False,  # "auto" would split at random, across time
        random_state=seed,
    )
    level = rows["level"].to_numpy()
    rate = rows["units"].to_numpy() / level
    return trees.fit(_matrix(model, rows), rate, sample_weight=level)


def _matrix(model: Model, rows: pd.DataFrame) -> Floats:
    """Return shape (n, features); a store or item the model has not met is NaN."""
    codes = [
        pd.Index(known[:254]).get_indexer(rows[name]).astype(float)  # boosting's limit is 255
        for name, known in zip(STATIC, (model.stores, model.items), strict=True)
    ]
    numbers = rows[list(model.numbers)].to_numpy(dtype=np.float64)
    return np.column_stack([numbers, *(np.where(code < 0, np.nan, code) for code in codes)])


def mean(model: Model, rows: pd.DataFrame) -> Floats:
    """Return the expected demand of each row, units, shape (n,); 0 where the shop is closed."""
    if model.trees is None:
        expected = rows[model.kind].to_numpy(float)
    else:
        expected = model.trees.predict(_matrix(model, rows)) * rows["level"].to_numpy()
    return np.where(rows["closed"].to_numpy(bool), 0.0, expected)


def dispersion(actual: Floats, expected: Floats, item: pd.Series) -> dict[str, float]:
    """Return k of each item by moments: Σ((y − m)² − m) = Σ m² ÷ k, bounded to [0.2, Poisson]."""
    sums = pd.DataFrame(
        {"excess": (actual - expected) ** 2 - expected, "square": expected**2, "item": item.array}
    ).groupby("item")[["excess", "square"]]
    total = sums.sum()
    k = total["square"] / total["excess"].clip(lower=1e-9)
    return {str(name): float(np.clip(value, 0.2, POISSON)) for name, value in k.items()}


def label(quantile: float) -> str:
    """Return the column name of a quantile: 0.05 is p05, 0.975 is p97.5."""
    return f"p{100 * quantile:04.1f}".removesuffix(".0")


def predict(
    model: Model, rows: pd.DataFrame, quantiles: Sequence[float], critical: Mapping[str, float]
) -> pd.DataFrame:
    """Return the predictive distribution of each row, in units.

    Columns: the keys, issued_at, mean, one per quantile (p05 …, rising, ≥ 0) and `stock_target`,
    the quantile at the item's critical ratio (`critical`: item_id → ratio).
    """
    expected = mean(model, rows)
    usual = float(np.median(list(model.dispersion.values())))
    k = rows["item_id"].map(model.dispersion).fillna(usual).to_numpy(float)
    ratio = rows["item_id"].map(critical).to_numpy(float)
    levels = {label(q): count_quantile(q, expected, k) for q in quantiles}
    return pd.DataFrame(
        {
            **{name: rows[name].array for name in (*KEYS, "issued_at")},
            "mean": expected,
            **levels,
            "stock_target": count_quantile(ratio, expected, k),
        }
    )


def count_quantile(quantile: float | Floats, expected: Floats, k: Floats) -> Floats:
    """Return the quantile of a negative binomial with mean `expected` and dispersion `k`."""
    from scipy.stats import nbinom

    return np.where(
        expected > 0, nbinom.ppf(quantile, k, k / (k + np.maximum(expected, 1e-12))), 0.0
    )


def as_payload(model: Model) -> dict[str, Any]:
    """Return the model as plain values and estimators, which can be stored without pickle."""
    lists = {name: list(getattr(model, name)) for name in ("stores", "items", "numbers")}
    return {**vars(model), **lists}


def from_payload(payload: Mapping[str, Any]) -> Model:
    """Return the model that `as_payload` took apart."""
    lists = {name: tuple(payload[name]) for name in ("stores", "items", "numbers")}
    return Model(**{**payload, **lists})
