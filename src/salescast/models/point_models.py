"""Models of the mean alone: the baselines, and rates around the recent level of a series."""

import numpy as np
import pandas as pd

from salescast.errors import DataQualityError, NotEnoughHistoryError
from salescast.features.drivers import CALENDAR
from salescast.features.point_in_time import HISTORY, PRICE, WEATHER
from salescast.models import response
from salescast.models.counts import CountMixture
from salescast.models.forecaster import Floats, Forecaster, training_rows

NUMBERS = (*HISTORY, *CALENDAR, *PRICE, *WEATHER)


class PointForecaster(Forecaster):
    """A model of the mean: negative binomials around it, as dispersed as its errors, by item."""

    dispersion_: dict[str, float]

    def _fit(self, rows: pd.DataFrame, happened: pd.DataFrame) -> None:
        known = training_rows(rows, happened)
        self._fit_mean(known)
        items, item = np.unique(known["item_id"].to_numpy(str), return_inverse=True)
        mean = np.where(known["closed"].to_numpy(bool), 0.0, self._mean(known))
        square = (known["units"].to_numpy(float) - mean) ** 2
        k = response.dispersion(square, mean, item, len(items))
        self.dispersion_ = dict(zip(map(str, items), map(float, k), strict=True))

    def _distribution(self, rows: pd.DataFrame) -> CountMixture:
        usual = float(np.median(list(self.dispersion_.values())))
        k = rows["item_id"].map(self.dispersion_).fillna(usual).to_numpy(float)
        return CountMixture(np.ones((len(rows), 1)), self._mean(rows)[:, None], k)

    def _fit_mean(self, rows: pd.DataFrame) -> None:
        """Learn the mean from feature rows with `units`."""
        raise NotImplementedError

    def _mean(self, rows: pd.DataFrame) -> Floats:
        raise NotImplementedError


class SeasonalNaive(PointForecaster):
    """The sales of the last same weekday."""

    column = "seasonal_naive"

    def _fit_mean(self, rows: pd.DataFrame) -> None:  # noqa: ARG002 - nothing to learn
        self.feature_names_in_ = (self.column,)

    def _mean(self, rows: pd.DataFrame) -> Floats:
        return np.asarray(rows[self.column], dtype=float)


class WeekdayMean(SeasonalNaive):
    """The mean of the last eight same weekdays."""

    column = "weekday_mean"


class RateForecaster(PointForecaster):
    """A model of the rate units ÷ level, weighted by the level.

    So busy and quiet series share what they teach.
    """

    def _fit_mean(self, rows: pd.DataFrame) -> None:
        if not rows["units"].any():
            raise NotEnoughHistoryError(
                f"not a unit was sold on {len(rows)} days; ingest days with sales, or use "
                'model.kind = "integrated"'
            )
        # A column without a single value can be neither scaled nor binned.
        numbers = tuple(name for name in NUMBERS if rows[name].notna().any())
        level = rows["level"].to_numpy(float)
        self._fit_rate(rows, numbers, rows["units"].to_numpy() / level, level)

    def _mean(self, rows: pd.DataFrame) -> Floats:
        """Return the expected demand; raise DataQualityError where it is not a number a row."""
        rate = np.asarray(self._rate(rows), dtype=np.float64)
        if rate.shape != (len(rows),) or not np.isfinite(rate).all():
            raise DataQualityError(
                f"the estimator returns {rate.shape} for {len(rows)} rows, "
                f"{(~np.isfinite(rate)).sum()} of them not finite; one number a row is needed"
            )
        mean: Floats = np.maximum(rate, 0.0) * rows["level"].to_numpy(float)
        return mean

    def _fit_rate(
        self, rows: pd.DataFrame, numbers: tuple[str, ...], rate: Floats, weight: Floats
    ) -> None:
        """Learn the rate; `numbers`: the columns of NUMBERS with a value."""
        raise NotImplementedError

    def _rate(self, rows: pd.DataFrame) -> Floats:
        raise NotImplementedError
