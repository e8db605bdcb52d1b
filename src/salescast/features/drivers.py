"""Weather as known at an origin: observed up to it, as issued beyond it, then climatology.

A day is wet from 1.0 mm on (the WMO's "rain day"). After a storm broken umbrellas are replaced;
the first rain after a dry spell finds people without one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WET_MM = 1.0
STORM_MM, STORM_DAYS = 12.0, 3
SPELL_DAYS = 5
YEAR_DAYS = 365.25
FULL_YEAR = 330  # known days from which an annual cycle can be told from weather


@dataclass(frozen=True)
class Climate:
    """What is normal on each day: arrays of shape (locations, days)."""

    probability: Floats
    precip_mm: Floats
    temp_c: Floats


@dataclass(frozen=True)
class Outlook:
    """The weather of each lead as known at an origin; arrays of shape (locations, horizon).

    `storm`: chance of STORM_MM or more on one of the three days before; `spell`: chance that the
    five days before are all dry; `wet_share`: share of wet days in the window behind the origin;
    `issue_age`: days since the issue that speaks of the day (NaN: none, so climatology).
    """

    probability: Floats
    precip_mm: Floats
    temp_anomaly: Floats
    storm: Floats
    spell: Floats
    wet_share: Floats
    issue_age: Floats


def climate(precip_mm: Floats, temp_c: Floats, days: Floats, target: Floats) -> Climate:
    """Fit one annual harmonic to the known days of each location and read it at `target`.

    `precip_mm`, `temp_c`: (locations, len(days)), NaN where unknown. With less than a year known
    the plain mean of rain stands in, but the normal temperature is NaN: a mean over half a year
    would take the season for an anomaly. With nothing known, no rain.
    """
    wet = np.where(np.isnan(precip_mm), np.nan, precip_mm >= WET_MM)
    seen, asked = _harmonics(days), _harmonics(target)
    short = (~np.isnan(temp_c)).sum(axis=1) < FULL_YEAR
    temp_c = np.where(short[:, None], np.nan, temp_c)
    return Climate(
        np.clip(np.nan_to_num(_read(wet, seen, asked)), 0.0, 1.0),
        np.maximum(np.nan_to_num(_read(precip_mm, seen, asked)), 0.0),
        _read(temp_c, seen, asked),
    )


def _harmonics(days: Floats) -> Floats:
    angle = 2 * np.pi * days / YEAR_DAYS
    return np.column_stack([np.ones_like(angle), np.cos(angle), np.sin(angle)])


def _read(values: Floats, seen: Floats, asked: Floats) -> Floats:
    result = np.full((len(values), len(asked)), np.nan)
    for row, known in enumerate(~np.isnan(values)):
        terms = 3 if known.sum() >= FULL_YEAR else 1
        if known.any():
            design = seen[known, :terms]
            # Normal equations: three columns, thousands of rows, solved for every origin.
            weights = np.linalg.solve(design.T @ design, design.T @ values[row, known])
            result[row] = asked[:, :terms] @ weights
    return result


def outlook(
    observed_mm: Floats,
    issued: Sequence[Floats],
    normal: Climate,
    origin: int,
    window: int,
) -> Outlook:
    """Return the weather of the leads after column `origin`, from what was known there.

    `observed_mm` and each of `issued` = (precip_mm, probability, temp_c, known_day) are
    (locations, days) with the leads' days inside; `normal` covers the leads. `known_day` is
    in columns of the same axis. `window` is how many past days `wet_share` looks over.
    """
    ahead = slice(origin + 1, origin + 1 + normal.probability.shape[1])
    mm, probability, temp, known_day = (matrix[:, ahead] for matrix in issued)
    missing = np.isnan(probability) | np.isnan(mm)
    probability = np.where(missing, normal.probability, probability)
    mm = np.where(missing, normal.precip_mm, mm)
    past_mm = np.nan_to_num(observed_mm[:, max(origin - 4, 0) : origin + 1])
    stormy = np.column_stack([past_mm >= STORM_MM, storm_chance(probability, mm)])
    dry = np.column_stack([past_mm < WET_MM, 1.0 - probability])
    return Outlook(
        probability,
        mm,
        np.nan_to_num(np.where(missing, 0.0, temp - normal.temp_c)),
        1.0 - before(1.0 - stormy, STORM_DAYS, probability.shape[1]),
        before(dry, SPELL_DAYS, probability.shape[1]),
        _wet_share(observed_mm[:, max(origin + 1 - window, 0) : origin + 1], normal),
        np.where(missing, np.nan, origin - known_day),
    )


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


def observed_terms(precip_mm: Floats, normal: Climate) -> tuple[Floats, Floats, Floats]:
    """Return (wet, storm, spell) of each day, (locations, days): 0 or 1, a chance where unknown."""
    unknown = np.isnan(precip_mm)
    wet = np.where(unknown, normal.probability, precip_mm >= WET_MM)
    calm = np.where(unknown, 1.0, precip_mm < STORM_MM)
    days = precip_mm.shape[1]
    return wet, 1.0 - before(calm, STORM_DAYS, days), before(1.0 - wet, SPELL_DAYS, days)


def _wet_share(past_mm: Floats, normal: Climate) -> Floats:
    """Return the share of wet days in the window, which tells how wet the sales level is."""
    known = ~np.isnan(past_mm)
    wet = np.where(known, past_mm >= WET_MM, 0.0).sum(axis=1)
    count = known.sum(axis=1)
    share = np.where(count > 0, wet / np.maximum(count, 1), normal.probability.mean(axis=1))
    return np.broadcast_to(share[:, None], normal.probability.shape)
