"""Measures of the weather: possible here, in this season, and after what was issued."""

import numpy as np
import pandas as pd

from salescast.contract.panel import Floats, day_numbers
from salescast.quality.scope import Matrices, Scope
from salescast.quality.trade import longest_pause

SEASON = 30  # days around the day of the year
PERSISTENCE = 0.7  # dry days follow dry days: a month's share of wet days overstates the surprise
WET_DAYS, WET_SPAN = 8, 45  # the last wet days, no older than this
ISSUED_SPAN, LEAST_ISSUED = 21, 15.0  # days of rain compared with the issues, and mm issued


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


def gauges(scope: Scope) -> pd.DataFrame:
    """Return each place with the days it misses at the end."""
    columns = ["location_id", "newest", "days_missing", "days_missing_vs_usual"]
    observed = scope.observed
    if observed is None:
        return pd.DataFrame(columns=columns)
    told = ~np.isnan(observed.values["temp_c"])
    newest = told.shape[1] - 1 - np.argmax(told[:, ::-1], axis=1)
    missing = told.shape[1] - 1 - newest
    pause = np.array([longest_pause(row) for row in told])
    frame = observed.entities.assign(
        newest=(observed.first + newest).astype("datetime64[D]").astype("datetime64[us]"),
        days_missing=missing,
        days_missing_vs_usual=missing / np.maximum(2, 1.5 * pause),
    )
    return frame[missing <= 60][columns].reset_index(drop=True)


def gauge_days(scope: Scope) -> pd.DataFrame:
    """Return each place and fresh day with what the days up to it say about the gauge."""
    observed, fresh = scope.observed, scope.fresh_days("weather_observed")
    names = ["location_id", "date", "dry_surprise", "rain_vs_issued", "rain_vs_season"]
    if observed is None or not len(fresh):
        return pd.DataFrame(columns=names)
    rain, where = observed.values["precip_mm"], fresh - observed.first
    chance, issued = _issued(scope, observed)
    measures = (
        _dry_surprise(rain, chance, _usual_chance(rain, observed.days))[:, where],
        _vs_issued(rain, issued)[:, where],
        _vs_season(rain, _season(observed.days), where),
    )
    places = observed.entities["location_id"].to_numpy(object)
    dates = fresh.astype("datetime64[D]").astype("datetime64[us]")
    keys = (np.repeat(places, len(fresh)), np.tile(dates, len(places)))
    return pd.DataFrame(dict(zip(names, (*keys, *(m.ravel() for m in measures)), strict=True)))


def _issued(scope: Scope, observed: Matrices) -> tuple[Floats, Floats]:
    """Return chance of rain and mm last issued for each place and day, at leads 0 and 1."""
    shape = (len(observed.entities), len(observed.days))
    chance, amount = np.full(shape, np.nan), np.full(shape, np.nan)
    rows = _nearest(scope)
    place, day = _cells(rows, observed)
    kept = place >= 0
    for name, matrix in (("precip_probability", chance), ("precip_mm", amount)):
        matrix[place[kept], day[kept]] = rows[name].to_numpy()[kept]
    return chance, amount


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
        return pd.DataFrame(columns=["location_id", "date", "precip_probability", "precip_mm"])
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


def _vs_issued(rain: Floats, issued: Floats) -> Floats:
    known = ~np.isnan(rain) & ~np.isnan(issued)
    came, said = (
        pd.DataFrame(np.where(known, part, 0.0).T).rolling(ISSUED_SPAN).sum().to_numpy().T
        for part in (rain, issued)
    )
    # Little rain on either side says little about the gauge.
    said = np.where(np.maximum(said, came / 3) >= LEAST_ISSUED, np.maximum(said, 1.0), np.nan)
    return np.asarray(came / said, dtype=np.float64)


def _vs_season(rain: Floats, season: np.ndarray, where: np.ndarray) -> Floats:
    result = np.full((len(rain), len(where)), np.nan)
    for place, mm in enumerate(rain):
        wet = np.flatnonzero(mm > 0)
        for column, day in enumerate(where):
            last = wet[: np.searchsorted(wet, day, side="right")][-WET_DAYS:]
            if len(last) == WET_DAYS and last[0] > day - WET_SPAN:
                before = wet[wet < last[0]]
                near = before[_near(season[before], season[day])]
                before = near if len(near) >= 40 else before
                if len(before) >= 40:
                    ratio = np.log(mm[last]).mean() - np.log(mm[before]).mean()
                    result[place, column] = np.exp(ratio)
    return result


def issues(scope: Scope) -> pd.DataFrame:
    """Return each place and day since the last known issue with the leads issued on it."""
    columns = ["location_id", "issued_on", "leads", "leads_vs_usual"]
    both = _issue_days(scope)
    if both.empty:
        return pd.DataFrame(columns=columns)
    places = both["location_id"].unique()
    days = np.unique(both["issued_on"])
    usual = both["leads"].median()
    if np.median(np.diff(days)) != 1 if len(days) > 1 else False:
        return pd.DataFrame(columns=columns)  # no daily issues: nothing to miss
    stored = both.loc[both["stored"], "issued_on"]
    first = int(stored.max()) + 1 if len(stored) else int(days[0])
    due = pd.MultiIndex.from_product([places, range(first, scope.last_day + 1)])
    leads = both.groupby(["location_id", "issued_on"])["leads"].max().reindex(due, fill_value=0)
    frame = leads.rename_axis(["location_id", "issued_on"]).reset_index()
    frame["issued_on"] = frame["issued_on"].to_numpy().astype("datetime64[D]")
    return frame.assign(leads_vs_usual=frame["leads"] / usual)


def _issue_days(scope: Scope) -> pd.DataFrame:
    parts = []
    for tables, stored in ((scope.stored, True), (scope.fresh, False)):
        rows = tables.get("weather_forecast")
        if rows is None or rows.empty:
            continue
        if stored:
            recent = (scope.until - pd.Timedelta(days=60)).to_datetime64()
            rows = rows[rows["issued_at"].to_numpy() >= recent]
        issued_on = day_numbers(rows["issued_at"])
        leads = rows.groupby([rows["location_id"], issued_on])["date"].nunique()
        part = leads.rename_axis(["location_id", "issued_on"]).rename("leads").reset_index()
        parts.append(part.assign(stored=stored))
    return pd.concat(parts) if parts else pd.DataFrame(columns=["location_id", "issued_on"])


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
