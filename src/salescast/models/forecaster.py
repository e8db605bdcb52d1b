"""The model seam: what the rest of the product knows of any model.

`fit`, `predict` (the mean), `predict_distribution`, `update` and `explain`, by scikit-learn's
conventions: parameters are stored by `__init__` unchanged, what is learned ends in an underscore.
A model holds plain values, arrays, scikit-learn estimators and the types in `models.TYPES`, so that
it can be stored without pickle.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from salescast.errors import NotEnoughHistoryError
from salescast.features.climatology import with_normal_weather
from salescast.features.point_in_time import KEYS
from salescast.models import response
from salescast.models.counts import CountMixture

Floats = NDArray[np.float64]

CAUSES = ("usual", "calendar", "price", "weather")
DAY_KEY = ["store_id", "item_id", "date"]
MIN_ROWS = 200  # fewer cannot tell a weekday from chance
CHUNK_ROWS = 100_000  # rows worked on at once, where all would take many times their memory


class Forecaster(BaseEstimator):  # type: ignore[misc]
    """A model of demand for many series.

    `X`: feature rows (`point_in_time.build`). `y`: what happened (`point_in_time.past`), as known
    at the cutoff. `feature_names_in_`: the columns of `X` that the fitted model reads.
    """

    trained_until_: str
    feature_names_in_: tuple[str, ...]
    search_space: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """Bounds of each parameter that `train --search` varies; whole numbers for a whole one."""
    learns_from_places: ClassVar[bool] = False
    """Whether `fit` reads only the weather of `X`, so that one series of each place will do."""

    def fit(self, X: pd.DataFrame, y: pd.DataFrame) -> Self:
        """Learn from feature rows and outcomes.

        Raises NotEnoughHistoryError where there are too few rows to learn from.
        """
        _require_rows(X, y)
        self.trained_until_ = f"{y['date'].max():%Y-%m-%d}"
        self._fit(X, y)
        return self

    def update(self, X: pd.DataFrame, y: pd.DataFrame) -> Self:  # noqa: ARG002 - no kind updates yet
        """Take newly delivered days into account without training anew: none does yet."""
        return self

    def predict(self, X: pd.DataFrame) -> Floats:
        """Return the expected demand of each row, units, (n,)."""
        return self.predict_distribution(X).mean

    def predict_distribution(self, X: pd.DataFrame) -> CountMixture:
        """Return the distribution of demand of each row; a closed day expects nothing."""
        mixture = self._distribution(X)
        means = np.where(X["closed"].to_numpy(bool)[:, None], 0.0, mixture.means)
        return CountMixture(mixture.weights, means, mixture.dispersion)

    def explain(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the units that each cause adds to the mean, columns CAUSES; they sum to it.

        `weather`: against the normal weather of the day; `price`: against list price without
        promotion; `calendar`: against the mean day of the horizon, which is `usual`. `X`: whole
        horizons.
        """
        mean = self.predict(X)
        normal = with_normal_weather(X)
        without_weather = self.predict(normal)
        without_price = self.predict(normal.assign(price_ratio=1.0, promo=0.0))
        series = X.groupby(["store_id", "item_id", "origin"]).ngroup().to_numpy()
        usual = (np.bincount(series, without_price) / np.bincount(series))[series]
        causes = {
            "usual": usual,
            "calendar": without_price - usual,
            "price": without_weather - without_price,
            "weather": mean - without_weather,
        }
        return pd.DataFrame(causes, index=X.index)

    def uncensor(self, y: pd.DataFrame) -> pd.DataFrame:
        """Return what happened with `demand`: units, or more where sold out (`response.uncensor`).

        A model without a response of its own has one fitted to these days.
        """
        return response.uncensor(y)

    def shift_evidence(
        self,
        y: pd.DataFrame,  # noqa: ARG002 - no evidence by default
        shifts: Sequence[float],  # noqa: ARG002
    ) -> dict[float, pd.DataFrame]:
        """Return, per relative shift of demand, how each day speaks for it (`shift_evidence`).

        Empty for a model that does not know demand given the observed weather.
        """
        return {}

    def _fit(self, rows: pd.DataFrame, happened: pd.DataFrame) -> None:
        raise NotImplementedError

    def _distribution(self, rows: pd.DataFrame) -> CountMixture:
        raise NotImplementedError


def training_rows(rows: pd.DataFrame, happened: pd.DataFrame) -> pd.DataFrame:
    """Return the feature rows whose outcome is known, with `units`; days sold out are left out."""
    return rows.merge(happened.loc[~happened["sold_out"], [*DAY_KEY, "units"]], on=DAY_KEY)


def _require_rows(rows: pd.DataFrame, happened: pd.DataFrame) -> None:
    """Raise NotEnoughHistoryError where too few rows have a known outcome; count no further."""
    count = 0
    for start in range(0, len(rows), CHUNK_ROWS):
        chunk = rows.iloc[start : start + CHUNK_ROWS][DAY_KEY]
        near = happened["date"].between(chunk["date"].min(), chunk["date"].max())
        count += len(training_rows(chunk, happened[near]))
        if count >= MIN_ROWS:
            return
    raise NotEnoughHistoryError(
        f"{count} training rows are too few (at least {MIN_ROWS}): {len(happened)} days "
        f"were sold, {happened['sold_out'].sum()} of them sold out; ingest more days or lower "
        "features.origin_every_days"
    )


def quantile_column(quantile: float) -> str:
    """Return the column name of a quantile: 0.05 is p05, 0.975 is p97.5."""
    return f"p{100 * quantile:04.1f}".removesuffix(".0")


def forecast(
    model: Forecaster,
    rows: pd.DataFrame,
    quantiles: Sequence[float],
    critical: Mapping[str, float],
) -> pd.DataFrame:
    """Return the forecast of each row, in units.

    Columns: the keys, issued_at, mean, one per quantile (p05 …, rising, ≥ 0) and `stock_target`,
    the quantile at the item's critical ratio (`critical`: item_id → ratio; the median's for an
    item it does not name).
    """
    mixture = model.predict_distribution(rows)
    usual = float(np.median(list(critical.values())))
    ratio = rows["item_id"].map(critical).fillna(usual).to_numpy(float)
    levels = np.column_stack([np.broadcast_to(quantiles, (len(rows), len(quantiles))), ratio])
    values = mixture.quantiles(levels)
    return pd.DataFrame(
        {
            **{name: rows[name].array for name in (*KEYS, "issued_at")},
            "mean": mixture.mean,
            **{quantile_column(q): values[:, i] for i, q in enumerate(quantiles)},
            "stock_target": values[:, -1],
        }
    )
