"""The default model: demand given the weather, over the weather given what was issued."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import pandas as pd

from salescast.errors import DataQualityError
from salescast.features.drivers import CALENDAR
from salescast.features.point_in_time import DRIVERS, PRICE, STATIC
from salescast.models import calibration, response
from salescast.models.counts import CountMixture
from salescast.models.forecaster import Forecaster


class Integrated(Forecaster):
    """Response and weather, each learned from all its data, then integrated over each other.

    Parameters: see `response.fit`.
    """

    search_space: ClassVar[Mapping[str, tuple[float, float]]] = {
        "recent_days": (28, 112),
        "drift": (0.2, 4.0),
        "departure": (0.3, 3.0),
    }
    learns_from_places: ClassVar[bool] = True
    response_: response.Response
    calibration_: calibration.Calibration

    def __init__(
        self,
        recent_days: float = 56.0,
        drift: float = 1.0,
        departure: float = 1.0,
        since: str | None = None,
        solver: Literal["newton", "scikit-learn"] = "newton",
    ) -> None:
        """Keep the parameters."""
        self.recent_days = recent_days
        self.drift = drift
        self.departure = departure
        self.since = since
        self.solver = solver

    def _fit(self, rows: pd.DataFrame, happened: pd.DataFrame) -> None:
        self.feature_names_in_ = (*STATIC, *CALENDAR, *PRICE, *DRIVERS)
        self.calibration_ = calibration.fit(rows, happened, int(rows["lead_time"].max()))
        if rows["rain_probability"].isna().all():  # the blind twin learns from no weather either
            happened = happened.assign(**dict.fromkeys(DRIVERS, 0.0))
        self.response_ = response.fit(happened, self.get_params())

    def _distribution(self, rows: pd.DataFrame) -> CountMixture:
        weather = calibration.calibrated_weather(self.calibration_, rows)
        return response.mixture(self.response_, rows, weather)

    def uncensor(self, y: pd.DataFrame) -> pd.DataFrame:
        """Return what happened with `demand`, by the model's own response."""
        return response.uncensor(y, self.response_)

    def shift_evidence(self, y: pd.DataFrame, shifts: Sequence[float]) -> dict[float, pd.DataFrame]:
        """Return, per relative shift of demand, how each day speaks for it."""
        return {shift: response.shift_evidence(y, self.response_, shift) for shift in shifts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a model; raise DataQualityError where it has other terms than this code."""
        super().__setstate__(state)
        known = len(self.response_.chain) if "response_" in state else len(response.TERMS)
        if known != len(response.TERMS):
            raise DataQualityError(
                f"the model has {known} terms, this version of the code {len(response.TERMS)}; "
                "train again"
            )
