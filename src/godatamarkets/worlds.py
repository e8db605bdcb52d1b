"""Worlds: parameters of the demand process in which a world differs from the one called `base`.

A model written in its simulator's own equation proves nothing. Each world changes one thing that a
real shop may have; `everyday` has a bit of all of them, and in the three `heat` worlds temperature
drives demand instead of rain. Simulator and oracle read the same parameters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from godatamarkets.randomness import Floats

PAYDAYS = (28, 29, 30, 31, 1, 2)  # days of the month
JUMP_SHARE = 0.015  # of series-days
LARGEST_SHOCK = 2.0  # on the log scale
SHIFTS_PER_DAY = 1 / 365.25
BREAK_AFTER, BREAK_MEAN = 100, 200  # days: a slope lasts 100 + Exp(200)

HEAT: Mapping[str, Callable[[Floats], Floats]] = {
    "linear": lambda temp: 0.12 * (temp - 15.0),
    "threshold": lambda temp: 0.12 * np.maximum(temp - 15.0, 0.0),
    "logistic": lambda temp: 1.6 / (1.0 + np.exp(-(temp - 20.0) / 1.5)),
    "above 18": lambda temp: 0.10 * np.maximum(temp - 18.0, 0.0),
}
"""What a day's mean temperature in °C adds to log λ."""


@dataclass(frozen=True)
class World:
    """Parameters of the demand process; the defaults are the world `base`."""

    volume: float = 1.0  # × every mean
    rain: float = 1.0  # × the effect of rain
    warmth: float = 1.0  # × the effect of the temperature anomaly
    heat: str = ""  # of HEAT: an effect of the temperature itself
    wet_mm: tuple[float, ...] = (1.0,)  # from which a day is wet; stores take them in turn
    saturation_mm: tuple[float, ...] = (15.0,)  # beyond which more rain sells no more; likewise
    weekday_rain: tuple[float, ...] = ()  # × the effect of rain, Monday first
    cold_rain: float = 0.0  # rain effect × (1 − this × °C above normal), within 0 … 2.5
    depletion: float = 0.0  # rain effect × e^−this for each wet day of the five before
    payday: float = 0.0  # added to log λ on PAYDAYS
    school: float = 0.0  # … from 25 August to 10 September
    harmonic: float = 0.0  # amplitude of a second wave a year
    black_friday: float = 0.0  # added in its week, to the first item alone
    shock: float = 0.0  # scale of a t₃ shock to each city and day
    jump: float = 0.0  # added on JUMP_SHARE of the days of a series
    walk: float = 0.0  # standard deviation a day of each series' level
    shift: float = 0.0  # size, up or down, of a shift of the level, about once a year
    shifted: float = 1.0  # share of the series whose levels shift
    slope: float = 0.0  # standard deviation of a series' trend a year, drawn anew at each break
    substitution: float = 0.0  # share of lost sales that take another item of the same store

    def rain_factor(
        self, wet_before: NDArray[Any], anomaly: Floats, weekday: NDArray[Any]
    ) -> Floats | float:
        """Return what multiplies the effect of rain; `wet_before`: wet days of the five before."""
        factor: Floats | float = 1.0
        if self.weekday_rain:
            factor = factor * np.array(self.weekday_rain)[weekday]
        if self.cold_rain:
            factor = factor * np.clip(1.0 - self.cold_rain * anomaly, 0.0, 2.5)
        if self.depletion:
            factor = factor * np.exp(-self.depletion * wet_before)
        return factor

    def events(self, dates: pd.DatetimeIndex) -> Floats:
        """Return what the calendar adds to log λ of every item."""
        day_of_year = dates.day_of_year.to_numpy()
        month_day = dates.month.to_numpy() * 100 + dates.day.to_numpy()
        wave = np.cos(4 * np.pi * day_of_year / 365.25)
        school = (month_day >= 825) & (month_day <= 910)
        effect = self.payday * np.isin(dates.day, PAYDAYS) + self.school * school
        return np.asarray(effect + self.harmonic * wave)

    def black_fridays(self, dates: pd.DatetimeIndex) -> Floats:
        """Return what the week of Black Friday, Monday to Sunday, adds to log λ of one item."""
        november = pd.to_datetime({"year": dates.year, "month": 11, "day": 1})
        thursday = (
            3 - november.dt.day_of_week.to_numpy()
        ) % 7 + 22  # the fourth, as a day of November
        days = (dates - pd.DatetimeIndex(november)).days.to_numpy() + 1
        return np.asarray(self.black_friday * ((days >= thursday - 3) & (days <= thursday + 3)))


WEEKDAY_RAIN = (1.8, 0.5, 1.0, 0.4, 1.7, 0.9, 0.2)
WET_MM, SATURATION_MM = (1.0, 4.0, 9.0), (40.0, 15.0, 3.0)
WORLDS: Mapping[str, World] = {
    "base": World(),
    "no_weather": World(rain=0.0, warmth=0.0),
    "threshold": World(wet_mm=(5.0,), rain=1.4),
    "store_shapes": World(wet_mm=WET_MM, saturation_mm=SATURATION_MM),
    "heavy_tails": World(shock=0.25, jump=1.5),
    "slow_movers": World(volume=1 / 25),
    "cold_rain": World(cold_rain=0.10, heat="above 18"),
    "depletion": World(depletion=0.35),
    "weekday_rain": World(weekday_rain=WEEKDAY_RAIN),
    "level_shifts": World(shift=float(np.log(1.6))),
    "trend_breaks": World(slope=0.5),
    "events": World(payday=0.35, harmonic=0.25, school=0.6, black_friday=0.9),
    "everyday": World(
        wet_mm=WET_MM,
        saturation_mm=SATURATION_MM,
        weekday_rain=tuple((1 + factor) / 2 for factor in WEEKDAY_RAIN),
        payday=0.175,
        school=0.3,
        shock=0.125,
        jump=0.75,
        walk=0.01,
        shift=float(np.log(1.25)),
        shifted=1 / 3,
        substitution=0.3,
    ),
    **{f"heat_{name}": World(rain=0.0, warmth=0.0, heat=name) for name in list(HEAT)[:3]},
}
