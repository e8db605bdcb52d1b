"""The predictive distribution of demand: a mixture of counts, whatever model stands behind it.

`integrated` learns demand given the weather that came and weather given what was issued, apart,
each from all its data, then integrates one over the other. `boosting` learns the mean from issued
features directly, `estimator` likewise by a class of the owner's. The baselines repeat the past.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.errors import DataQualityError, NotEnoughHistoryError
from salescast.features.point_in_time import KEYS
from salescast.models import boosting, calibration, counts, estimator
from salescast.models import response as demand

Floats = NDArray[np.float64]

BASELINES = ("seasonal_naive", "weekday_mean")
WEATHER_CAME = ("wet", "rain_mm", "storm", "spell", "temp_anomaly")
MIN_ROWS = 200  # fewer cannot tell a weekday from chance
CHUNK_ROWS = 100_000  # rows looked at in one go, where all would be many times their memory


@dataclass(frozen=True)
class Integrated:
    """Demand given weather, and weather given an issue."""

    response: demand.Response
    weather: calibration.Calibration


Parts = Integrated | boosting.Boosted | estimator.Estimated


@dataclass(frozen=True)
class Model:
    """A fitted model. `parts` is None for a baseline, whose mean is a column of the rows.

    `dispersion`: k by item where the parts have none of their own.
    """

    kind: str
    parts: Parts | None
    dispersion: Mapping[str, float]
    trained_until: str


def training_rows(rows: pd.DataFrame, happened: pd.DataFrame) -> pd.DataFrame:
    """Return the feature rows whose outcome is known, with `units`; days sold out are left out."""
    key = ["store_id", "item_id", "date"]
    return rows.merge(happened.loc[~happened["sold_out"], [*key, "units"]], on=key)


def fit(
    rows: pd.DataFrame, happened: pd.DataFrame, kind: str, params: Mapping[str, Any], seed: int
) -> Model:
    """Fit a model of `kind`: "integrated", "boosting", "estimator" or a baseline.

    `rows`: features of `features.build`; `happened`: outcomes of `features.past`, as known at the
    cutoff. Raises NotEnoughHistoryError when there are too few rows to learn from.
    """
    _require_rows(rows, happened)
    until = f"{happened['date'].max():%Y-%m-%d}"
    if kind == "integrated":
        weather = calibration.fit(rows, happened, int(rows["lead_time"].max()))
        if rows["rain_probability"].isna().all():  # the blind twin learns from no weather either
            happened = happened.assign(**dict.fromkeys(WEATHER_CAME, 0.0))
        return Model(
            kind,
            Integrated(demand.fit(happened, {**demand.DEFAULTS, **params}), weather),
            {},
            until,
        )
    known = training_rows(rows, happened)
    parts: Parts | None = None
    if kind not in BASELINES:
        learn = estimator.fit if kind == "estimator" else boosting.fit
        parts = learn(known, params, seed)
    model = Model(kind, parts, {}, until)
    items, item = np.unique(known["item_id"].to_numpy(str), return_inverse=True)
    weights, means, _ = distribution(model, known)
    expected = (weights * means).sum(axis=1)
    k = demand.dispersion(known["units"].to_numpy(float), expected, item, len(items))
    return Model(kind, parts, dict(zip(map(str, items), map(float, k), strict=True)), until)


def _require_rows(rows: pd.DataFrame, happened: pd.DataFrame) -> None:
    """Raise NotEnoughHistoryError where too few rows have a known outcome; count no further."""
    count = 0
    for start in range(0, len(rows), CHUNK_ROWS):
        piece = rows.iloc[start : start + CHUNK_ROWS][["store_id", "item_id", "date"]]
        near = happened["date"].between(piece["date"].min(), piece["date"].max())
        count += len(training_rows(piece, happened[near]))
        if count >= MIN_ROWS:
            return
    raise NotEnoughHistoryError(
        f"{count} training rows are too few (at least {MIN_ROWS}): {len(happened)} days "
        f"were sold, {happened['sold_out'].sum()} of them sold out; ingest more days or lower "
        "features.origin_every_days"
    )


def distribution(model: Model, rows: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    """Return weights and means (n, nodes) and k (n,): a mixture of negative binomials per row.

    A day on which the shop is closed expects nothing.
    """
    if isinstance(model.parts, Integrated):
        believed = calibration.calibrated_weather(model.parts.weather, rows)
        weights, means, k = demand.mixture(model.parts.response, rows, believed)
    else:
        means = np.asarray(_mean(model, rows), dtype=float)[:, None]
        weights = np.ones_like(means)
        usual = float(np.median(list(model.dispersion.values()) or [1.0]))
        k = rows["item_id"].map(model.dispersion).fillna(usual).to_numpy(float)
    return weights, np.where(rows["closed"].to_numpy(bool)[:, None], 0.0, means), k


def _mean(model: Model, rows: pd.DataFrame) -> Any:
    if isinstance(model.parts, boosting.Boosted):
        return boosting.mean(model.parts, rows)
    if isinstance(model.parts, estimator.Estimated):
        return estimator.mean(model.parts, rows)
    return rows[model.kind]


def quantile_column(quantile: float) -> str:
    """Return the column name of a quantile: 0.05 is p05, 0.975 is p97.5."""
    return f"p{100 * quantile:04.1f}".removesuffix(".0")


def predict(
    model: Model, rows: pd.DataFrame, quantiles: Sequence[float], critical: Mapping[str, float]
) -> pd.DataFrame:
    """Return the predictive distribution of each row, in units.

    Columns: the keys, issued_at, mean, one per quantile (p05 …, rising, ≥ 0) and `stock_target`,
    the quantile at the item's critical ratio (`critical`: item_id → ratio; the median's for an
    item it does not name).
    """
    weights, means, k = distribution(model, rows)
    usual = float(np.median(list(critical.values())))
    ratio = rows["item_id"].map(critical).fillna(usual).to_numpy(float)
    levels = counts.quantiles(weights, means, k, quantiles, ratio)
    return pd.DataFrame(
        {
            **{name: rows[name].array for name in (*KEYS, "issued_at")},
            "mean": (weights * means).sum(axis=1),
            **{quantile_column(q): levels[:, i] for i, q in enumerate(quantiles)},
            "stock_target": levels[:, -1],
        }
    )


def as_payload(model: Model) -> dict[str, Any]:
    """Return the model as plain values, arrays and estimators: storable without pickle."""
    parts = model.parts
    if isinstance(parts, Integrated):
        plain = {"response": _plain(parts.response), "weather": _plain(parts.weather)}
    else:
        plain = _plain(parts) if parts else {}
    return {**vars(model), "parts": plain, "dispersion": dict(model.dispersion)}


def _plain(part: Any) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(part).items()}


def from_payload(payload: Mapping[str, Any]) -> Model:
    """Return the model that `as_payload` took apart."""
    plain, kind = payload["parts"], payload["kind"]
    parts: Parts | None = None
    if kind == "integrated":
        response = demand.Response(**_tuples(plain["response"]))
        if len(response.chain) != len(demand.TERMS):
            raise DataQualityError(
                f"the model knows {len(response.chain)} terms, this version of the code "
                f"{len(demand.TERMS)}; train again"
            )
        parts = Integrated(response, calibration.Calibration(**plain["weather"]))
    elif kind == "estimator":
        parts = estimator.Estimated(**_tuples(plain))
    elif plain:
        parts = boosting.Boosted(**_tuples(plain))
    return Model(kind, parts, payload["dispersion"], payload["trained_until"])


def _tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}
