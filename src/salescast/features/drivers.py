"""Drivers of demand: the calendar, and the weather as known at an origin.

Weather is observed up to the origin, as issued beyond it, then climatology.

A day is wet from 1.0 mm on (the WMO's "rain day"). After a storm broken umbrellas are replaced;
the first rain after a dry spell finds people without one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CALENDAR = (
    "weekday",
    "christmas",
    "holiday",
    "lead_time",
)
"""The columns of the calendar that models read."""
WET_MM = 1.0
STORM_MM, STORM_DAYS = 12.0, 3
SPELL_DAYS = 5
YEAR_DAYS = 365.25
FULL_YEAR = 330  # known days from which an annual cycle can be fitted


def calendar(dates: pd.DatetimeIndex) -> dict[str, Floats]:
    """Return weekday (Monday is 0) and `christmas` (1 on 10–24 December), shape (n,) each."""
    return {
        "weekday": dates.day_of_week.to_numpy(dtype=np.float64),
        "christmas": ((dates.month == 12) & (dates.day >= 10) & (dates.day <= 24)).astype(float),
    }


def public_holidays(countries: Sequence[str], dates: pd.DatetimeIndex) -> Floats:
    """Return 1 on each country's public holidays, else 0, shape (countries, dates).

    `countries` are ISO 3166 codes, with a region (DE-BY) or without; one that the `holidays`
    library does not know has none, and an unknown region has its country's.
    """
    days = dates.to_numpy().astype("datetime64[D]")
    years = range(int(dates.year.min()), int(dates.year.max()) + 1) if len(dates) else range(0)
    return np.array([np.isin(days, _holidays(c, tuple(years))) for c in countries], dtype=float)


@lru_cache(maxsize=1024)
def _holidays(country: str, years: tuple[int, ...]) -> NDArray[np.datetime64]:
    import holidays

    code, _, region = country.upper().partition("-")
    known = holidays.list_supported_countries()
    if code not in known:
        return np.array([], dtype="datetime64[D]")
    part = region if region in known[code] else None
    found = holidays.country_holidays(code, subdiv=part, years=years)
    return np.array(sorted(found), dtype="datetime64[D]")


@dataclass(frozen=True)
class Climate:
    """What is normal on each day: arrays of shape (locations, days)."""

    probability: Floats
    precip_mm: Floats
    temp_c: Floats


def climate(precip_mm: Floats, temp_c: Floats, days: Floats, target: Floats) -> Climate:
    """Fit one annual harmonic to the known days of each location and read it at `target`.

    `precip_mm`, `temp_c`: (locations, len(days)), NaN where unknown. With less than a year known,
    rain is its plain mean, but the normal temperature is NaN: a mean over half a year would take
    the season for an anomaly. With nothing known, no rain.
    """
    wet = np.where(np.isnan(precip_mm), np.nan, precip_mm >= WET_MM)
    seen, target_terms = _harmonics(days), _harmonics(target)
    short = (~np.isnan(temp_c)).sum(axis=1) < FULL_YEAR
    temp_c = np.where(short[:, None], np.nan, temp_c)
    return Climate(
        np.clip(np.nan_to_num(_fitted(wet, seen, target_terms)), 0.0, 1.0),
        np.maximum(np.nan_to_num(_fitted(precip_mm, seen, target_terms)), 0.0),
        _fitted(temp_c, seen, target_terms),
    )


def _harmonics(days: Floats) -> Floats:
    angle = 2 * np.pi * days / YEAR_DAYS
    return np.column_stack([np.ones_like(angle), np.cos(angle), np.sin(angle)])


def _fitted(values: Floats, seen: Floats, target: Floats) -> Floats:
    """Return each row of `values` regressed on the columns of `seen`, read at `target`."""
    result = np.full((len(values), len(target)), np.nan)
    for row, known in enumerate(~np.isnan(values)):
        terms = 3 if known.sum() >= FULL_YEAR else 1
        if known.any():
            design = seen[known, :terms]
            # Normal equations: three columns, thousands of rows, solved for every origin.
            weights = np.linalg.solve(design.T @ design, design.T @ values[row, known])
            result[row] = target[:, :terms] @ weights
    return result


def outlook(
    observed_mm: Floats, issued: Sequence[Floats], normal: Climate, origin: int, window: int
) -> dict[str, Floats]:
    """Return the weather columns of the leads after column `origin`, from what was known there.

    `observed_mm` and each of `issued` = (precip_mm, probability, temp_c, known_day) are
    (locations, days) with the leads' days inside; `normal` covers the leads. `known_day` is
    in columns of the same axis. `window`: how many past days `wet_share` counts.

    (locations, horizon) each: rain_probability, rain_mm, temp_anomaly; `storm`: chance of
    STORM_MM or more on one of the three days before; `spell`: chance that the five days before are
    all dry; `wet_share`: share of wet days in the window up to the origin; `issue_age`: days since
    the issue used (NaN: there is none, the weather is climatology).
    """
    horizon = normal.probability.shape[1]
    ahead = slice(origin + 1, origin + 1 + horizon)
    mm, probability, temp, known_day = (matrix[:, ahead] for matrix in issued)
    missing = np.isnan(probability) | np.isnan(mm)
    probability = np.where(missing, normal.probability, probability)
    mm = np.where(missing, normal.precip_mm, mm)
    past_mm = np.nan_to_num(observed_mm[:, max(origin - 4, 0) : origin + 1])
    storm, spell = chances_before(past_mm, probability, storm_chance(probability, mm), horizon)
    return {
        "rain_probability": probability,
        "rain_mm": mm,
        "temp_anomaly": np.nan_to_num(np.where(missing, 0.0, temp - normal.temp_c)),
        "storm": storm,
        "spell": spell,
        "wet_share": _wet_share(observed_mm[:, max(origin + 1 - window, 0) : origin + 1], normal),
        "issue_age": np.where(missing, np.nan, origin - known_day),
    }


def chances_before(
    past_mm: Floats, probability: Floats, stormy: Floats, horizon: int
) -> tuple[Floats, Floats]:
    """Return the chances of a storm and of a dry spell before each lead, (rows, horizon) each.

    `past_mm`: rain of the days up to the origin; `probability`, `stormy`: chances of rain and of a
    storm on each lead.
    """
    calm = 1.0 - np.column_stack([past_mm >= STORM_MM, stormy])
    dry = np.column_stack([past_mm < WET_MM, 1.0 - probability])
    return 1.0 - before(calm, STORM_DAYS, horizon), before(dry, SPELL_DAYS, horizon)


def storm_chance(probability: Floats, expected_mm: Floats) -> Floats:
    """Return the chance of STORM_MM or more, taking the rain of a wet day as exponential."""
    wet_mm = expected_mm / np.maximum(probability, 0.01) - WET_MM
    beyond: Floats = np.exp(-(STORM_MM - WET_MM) / np.maximum(wet_mm, 0.1))
    return probability * beyond


def before(chances: Floats, days: int, horizon: int) -> Floats:
    """Return the product of `chances` over the `days` days before each of the last `horizon`."""
    padding = np.ones((len(chances), max(0, days + horizon - chances.shape[1])))
    line = np.column_stack([padding, chances])
    start = line.shape[1] - horizon - days
    parts = [line[:, start + k : start + k + horizon] for k in range(days)]
    product: Floats = np.multiply.reduce(parts)
    return product


def observed_columns(precip_mm: Floats, temp_c: Floats, normal: Climate) -> dict[str, Floats]:
    """Return the weather columns of observed days, (locations, days) each.

    `rain_probability`, `storm` and `spell` are 0 or 1, a chance where the rain is unknown;
    `rain_mm` is then the normal one, and `temp_anomaly` 0 where the temperature is unknown.
    """
    unknown, days = np.isnan(precip_mm), precip_mm.shape[1]
    wet = np.where(unknown, normal.probability, precip_mm >= WET_MM)
    calm = np.where(unknown, 1.0, precip_mm < STORM_MM)
    return {
        "rain_probability": wet,
        "rain_mm": np.where(unknown, normal.precip_mm, precip_mm),
        "storm": 1.0 - before(calm, STORM_DAYS, days),
        "spell": before(1.0 - wet, SPELL_DAYS, days),
        "temp_anomaly": np.nan_to_num(temp_c - normal.temp_c),
    }


def _wet_share(past_mm: Floats, normal: Climate) -> Floats:
    """Return the share of wet days in the window: how wet the days behind the sales level were."""
    known = ~np.isnan(past_mm)
    wet = np.where(known, past_mm >= WET_MM, 0.0).sum(axis=1)
    count = known.sum(axis=1)
    share = np.where(count > 0, wet / np.maximum(count, 1), normal.probability.mean(axis=1))
    return np.broadcast_to(share[:, None], normal.probability.shape)
