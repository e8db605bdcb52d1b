"""Weather as known at an origin: observed up to it, as issued beyond it, then climatology.

A day is wet from 1.0 mm on (the WMO's "rain day").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WET_MM = 1.0
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

    `source` is 0 where the day comes from an issued forecast, 1 where from climatology.
    `issue_age` is the age in days of the issue that speaks of the day (NaN: none does).
    """

    probability: Floats
    precip_mm: Floats
    temp_anomaly: Floats
    storm_mm: Floats
    dry_days: Floats
    wet_share: Floats
    source: Floats
    issue_age: Floats


def climate(precip_mm: Floats, temp_c: Floats, days: Floats, target: Floats) -> Climate:
    """Fit one annual harmonic to the known days of each location and read it at `target`.

    `precip_mm`, `temp_c`: (locations, len(days)), NaN where unknown. With less than a year known
    the plain mean stands in; with nothing known, no rain and NaN temperature.
    """
    wet = np.where(np.isnan(precip_mm), np.nan, precip_mm >= WET_MM)
    seen, asked = _harmonics(days), _harmonics(target)
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
    horizon = normal.probability.shape[1]
    ahead = slice(origin + 1, origin + 1 + horizon)
    mm, probability, temp, known_day = (matrix[:, ahead] for matrix in issued)
    missing = np.isnan(probability) | np.isnan(mm)
    probability = np.where(missing, normal.probability, probability)
    mm = np.where(missing, normal.precip_mm, mm)
    past_mm = observed_mm[:, : origin + 1]
    return Outlook(
        probability,
        mm,
        np.nan_to_num(np.where(np.isnan(temp), 0.0, temp - normal.temp_c)),
        _storm(past_mm[:, -3:], mm),
        _dry_days(past_mm[:, -10:], probability),
        _wet_share(past_mm[:, -window:], normal),
        missing.astype(np.float64),
        np.where(missing, np.nan, origin - known_day),
    )


def _storm(past_mm: Floats, ahead_mm: Floats) -> Floats:
    """Return the most rain of a day among the three before each lead."""
    line = np.column_stack([np.zeros((len(past_mm), 3 - past_mm.shape[1])), past_mm, ahead_mm])
    line = np.nan_to_num(line)
    horizon = ahead_mm.shape[1]
    return np.maximum.reduce([line[:, k : k + horizon] for k in range(3)])


def _dry_days(past_mm: Floats, probability: Floats) -> Floats:
    """Return the expected length of the dry spell before each lead, capped by the window."""
    dry = np.nan_to_num(past_mm) < WET_MM
    run = np.cumprod(dry[:, ::-1], axis=1).sum(axis=1).astype(np.float64)
    spells = np.empty_like(probability)
    for lead in range(probability.shape[1]):
        spells[:, lead] = run
        run = np.minimum(run + 1.0, past_mm.shape[1]) * (1.0 - probability[:, lead])
    return spells


def _wet_share(past_mm: Floats, normal: Climate) -> Floats:
    """Return the share of wet days in the window, which tells how wet the sales level is."""
    known = ~np.isnan(past_mm)
    wet = np.where(known, past_mm >= WET_MM, 0.0).sum(axis=1)
    count = known.sum(axis=1)
    share = np.where(count > 0, wet / np.maximum(count, 1), normal.probability.mean(axis=1))
    return np.broadcast_to(share[:, None], normal.probability.shape)
