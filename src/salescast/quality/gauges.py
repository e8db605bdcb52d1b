"""Measures of the weather: possible here, in this season, and after what was issued."""

import numpy as np
import pandas as pd

from salescast.contract.panel import Floats, day_numbers
from salescast.contract.schema import empty
from salescast.quality.scope import Matrices, Scope

SEASON = 30  # days around the day of the year
PERSISTENCE = 0.7  # dry days follow dry days: a month's share of wet days overstates the surprise
WET_DAYS, WET_SPAN = 8, 45  # the last wet days, no older than this


def temp_vs_season(rows: pd.DataFrame, scope: Scope) -> Floats:
    """Return robust deviations of temperature from the median of the place and season."""
    observed = scope.observed
    if observed is None or rows.empty:
        return np.full(len(rows), np.nan)
    place, day = _cells(rows, observed)
    values, season = observed.values["temp_c"], _season(observed.days)
    result = np.full(len(rows), np.nan)
    known = np.flatnonzero(place >= 0)
    cells = np.stack([place[known], season[day[known]]], axis=1)
    for (here, when), at in _groups(cells):
        near = values[here, _near(season, when)]
        near = near[~np.isnan(near)]
        if len(near) >= 28:
            middle = np.median(near)
            spread = max(1.5, 1.4826 * np.median(np.abs(near - middle)))
            temp = rows["temp_c"].to_numpy()[known[at]]
            result[known[at]] = (temp - middle) / spread
    return result


def rain_vs_record(rows: pd.DataFrame, scope: Scope) -> Floats:
    """Return rain ÷ four times the place's record before (at least 50 mm)."""
    if rows.empty:
        return np.zeros(0)
    history = scope.history("weather_observed", 1461)
    reference = history if len(history) else rows
    # The highest five of a thousand may be the very rows in question.
    record = reference.groupby("location_id")["precip_mm"].quantile(0.995)
    limit = np.maximum(50, 4 * rows["location_id"].map(record).fillna(0).to_numpy())
    return np.asarray(rows["precip_mm"] / limit, dtype=np.float64)


def dry_surprise(rows: pd.DataFrame, scope: Scope) -> Floats:
    """Return for each row −log of the chance that its place's dry run until then comes about."""
    observed = scope.observed
    if observed is None or rows.empty:
        return np.full(len(rows), np.nan)
    rain = observed.values["precip_mm"]
    usual = _usual_chance(rain, observed.days)
    surprise = _dry_surprise(rain, _issued_chance(scope, observed), usual)
    return _at(surprise, rows, observed)


def rain_vs_season(rows: pd.DataFrame, scope: Scope) -> Floats:
    """Return for each row the geometric mean of the last 8 wet days ÷ that of the season there."""
    observed = scope.observed
    if observed is None or rows.empty:
        return np.full(len(rows), np.nan)
    fresh = scope.fresh_days("weather_observed") - observed.first
    ratios = np.full(observed.values["precip_mm"].shape, np.nan)
    season = _season(observed.days)
    for place, rain in enumerate(observed.values["precip_mm"]):
        wet = np.flatnonzero(rain > 0)
        for day in fresh:
            ratios[place, day] = _amounts(rain, wet, season, day)
    return _at(ratios, rows, observed)


def _amounts(rain: Floats, wet: np.ndarray, season: np.ndarray, day: int) -> float:
    last = wet[: np.searchsorted(wet, day, side="right")][-WET_DAYS:]
    if len(last) < WET_DAYS or last[0] <= day - WET_SPAN:
        return float("nan")
    before = wet[wet < last[0]]
    near = before[_near(season[before], season[day])]
    before = near if len(near) >= 40 else before
    if len(before) < 40:
        return float("nan")
    return float(np.exp(np.log(rain[last]).mean() - np.log(rain[before]).mean()))


def _at(values: Floats, rows: pd.DataFrame, observed: Matrices) -> Floats:
    place, day = _cells(rows, observed)
    return np.where(place >= 0, values[place, day], np.nan)


def _issued_chance(scope: Scope, observed: Matrices) -> Floats:
    """Return the chance of rain last issued for each place and day, at leads 0 and 1."""
    chance = np.full((len(observed.entities), len(observed.days)), np.nan)
    rows = _nearest(scope)
    place, day = _cells(rows, observed)
    kept = place >= 0
    chance[place[kept], day[kept]] = rows["precip_probability"].to_numpy()[kept]
    return chance


def _nearest(scope: Scope) -> pd.DataFrame:
    parts = []
    fresh = scope.fresh_days("weather_observed")
    since = int(fresh[0]) - 120
    for tables in (scope.stored, scope.fresh):
        if "weather_forecast" in tables:
            rows = tables["weather_forecast"]
            lead = day_numbers(rows["date"]) - day_numbers(rows["issued_at"])
            near = (lead >= 0) & (lead <= 1) & (day_numbers(rows["date"]) >= since)
            parts.append(rows[near])
    if not parts:
        return empty("weather_forecast")
    return pd.concat(parts).sort_values("issued_at", kind="stable")


def _dry_surprise(rain: Floats, chance: Floats, usual: Floats) -> Floats:
    """Return −log of the chance that each day's dry run comes about; arrays (places, days).

    No issued chance counts as more than it proved worth when it was 90 % and above. Days without
    an issue count by `usual`, the share of wet days.
    """
    sure = (chance >= 0.9) & ~np.isnan(rain)
    wrong = np.mean(rain[sure] == 0) if sure.any() else 0.0
    trusted = np.minimum(chance, 1 - max(0.05, wrong))
    news = np.where(np.isnan(chance), -PERSISTENCE * np.log1p(-usual), -np.log1p(-trusted))
    dry = rain == 0
    total = np.cumsum(np.where(dry, news, 0.0), axis=1)
    return np.asarray(total - np.maximum.accumulate(np.where(dry, 0.0, total), axis=1))


def _usual_chance(rain: Floats, days: np.ndarray) -> Floats:
    """Return the share of wet days in the day's month at each place; 0 for less than a year."""
    if rain.shape[1] < 365:
        return np.zeros(rain.shape)
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    wet = np.where(np.isnan(rain), np.nan, rain > 0)
    shares = np.stack(
        [pd.DataFrame(wet[:, month == m].T).mean().to_numpy() for m in range(12)], axis=1
    )
    return np.asarray(np.minimum(np.nan_to_num(shares), 0.95)[:, month])


def _cells(rows: pd.DataFrame, observed: Matrices) -> tuple[np.ndarray, np.ndarray]:
    """Return place and day of each row in the matrices; place −1 where it has none."""
    place = pd.Index(observed.entities["location_id"]).get_indexer(rows["location_id"])
    day = day_numbers(rows["date"]) - observed.first
    inside = (day >= 0) & (day < len(observed.days))
    return np.where(inside, place, -1), np.where(inside, day, 0)


def _groups(cells: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    kinds, which = np.unique(cells, axis=0, return_inverse=True)
    order = np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])
    return list(zip(kinds, order, strict=True))


def _season(days: np.ndarray) -> np.ndarray:
    return np.asarray(pd.DatetimeIndex(days.astype("datetime64[D]")).day_of_year)


def _near(season: np.ndarray, day: int) -> np.ndarray:
    distance = np.abs(season - day)
    return np.asarray(np.minimum(distance, 366 - distance) <= SEASON)
