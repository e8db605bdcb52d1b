"""Daily tests of forecasts against outcomes: shifts of demand, bias, coverage.

Shifts are tested for the whole and for its parts, because a change in one place is small in the
whole. A model that knows demand given the weather is tested on likelihood ratios, with the weather
taken out; any other predictive distribution on the ranks of outcomes in it (mid-PIT, Czado,
Gneiting & Held 2009).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.monitoring.alarms import Alarm, Limits, alarm, change_point
from salescast.monitoring.sequential import (
    MAX_CORRELATION,
    Floats,
    bets,
    cusum,
    for_streams,
    mean_shift,
)

COMMON = 0.10  # of expected demand: error that all series of a stream share on a usual day
MIN_CORRELATION = 0.35  # of a stream's ranks from day to day; a few weeks cannot show less
MIN_DAYS = 21  # of outcomes, to know how much mean ranks vary from day to day


def streams(rows: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield name and rows of the whole and its parts: places, items, wet and dry days."""
    yield "all series", np.ones(len(rows), dtype=bool)
    for word, column in (("in", "location_id"), ("of", "item_id")):
        code, names = rows[column].factorize(sort=True)
        for at, name in enumerate(names):
            yield f"{word} {name}", code == at
    wet = rows["rain_probability"].to_numpy() >= 0.5
    for name, part in (("in the rain", wet), ("on dry days", ~wet)):
        if part.any():
            yield name, part


def evidence_by_stream(
    rows: Mapping[float, pd.DataFrame],
) -> Iterator[tuple[str, float, pd.DatetimeIndex, Floats]]:
    """Yield stream, shift, days and the evidence at each day's close.

    `rows`: per shift tested for, `response.shift_evidence` of the days since training, with
    location_id, item_id, date and rain_probability.
    """
    for shift, part in rows.items():
        day, days = part["date"].factorize(sort=True)
        columns = [part[c].to_numpy(float) for c in ("log_ratio", "expected", "variance")]
        for name, inside in streams(part):
            present = np.unique(day[inside])
            ratio, mean, noise = (np.bincount(day[inside], c[inside])[present] for c in columns)
            # Errors that all series share are noise as well, so the evidence counts for less.
            share = noise / np.maximum(noise + (COMMON * mean) ** 2, 1e-9)
            yield name, shift, pd.DatetimeIndex(days[present]), cusum(ratio * share)


def demand_shift(rows: Mapping[float, pd.DataFrame], limits: Limits) -> list[Alarm]:
    """Return an alarm where demand differs from its expectation given the observed weather.

    `rows`: see `evidence_by_stream`. Of several streams the one with most evidence is named;
    `since` is the probable start. The evidence asked for grows with the number of tests.
    """
    tests = [
        (path, name, days, {"shift": shift}) for name, shift, days, path in evidence_by_stream(rows)
    ]
    return _strongest(tests, limits)


def rank_shift(scored: pd.DataFrame, levels: Sequence[str], limits: Limits) -> list[Alarm]:
    """Return an alarm where outcomes lie on one side of any model's forecasts in a stream.

    `scored`: served forecasts of one lead with location_id, item_id, rain_probability and `units`;
    `levels`: see `ranks`. The noise of a stream's daily mean rank is estimated from its changes
    from day to day (von Neumann 1941), which a lasting shift does not inflate.
    """
    rows = scored.assign(rank=ranks(scored, levels)) if len(scored) else scored.assign(rank=0.5)
    tests: list[tuple[Floats, str, pd.DatetimeIndex, dict[str, Any]]] = []
    for name, inside in streams(rows):
        daily = rows[inside].groupby("date")["rank"].agg(["mean", "size"])
        if len(daily) < MIN_DAYS:
            continue
        values = daily["mean"].to_numpy(float)
        sampling = np.sqrt(float(np.mean(1.0 / (12.0 * daily["size"]))))  # of a uniform rank
        sides = rank_evidence(values, sampling)
        days, mean = pd.DatetimeIndex(daily.index), {"rank": float(values.mean())}
        tests += [(side, name, days, mean) for side in sides]
    return _strongest(tests, limits)


def rank_evidence(values: Floats, least_noise: float = 0.0) -> list[Floats]:
    """Return the evidence that daily mean ranks (…, days) lie above ½, and below it.

    Noise σ and correlation ρ of an AR(1) are those of its changes: Var(change) = 2 σ² (1 − ρ), and
    neighbouring changes correlate by −(1 − ρ) ÷ 2.
    """
    changes = np.diff(values, axis=-1)
    square = np.maximum((changes**2).sum(axis=-1), 1e-12)
    neighbours = (changes[..., 1:] * changes[..., :-1]).sum(axis=-1) / square
    correlation = np.clip(1.0 + 2.0 * neighbours, MIN_CORRELATION, MAX_CORRELATION)
    noise = np.sqrt(square / changes.shape[-1] / 2.0 / (1.0 - correlation))
    noise = np.maximum(noise, least_noise)[..., None]
    return mean_shift(values, 0.5, noise, correlation[..., None])


def _strongest(
    tests: Sequence[tuple[Floats, str, pd.DatetimeIndex, dict[str, Any]]], limits: Limits
) -> list[Alarm]:
    enough = for_streams(limits.evidence, len(tests))
    tests = [test for test in tests if len(test[0]) and test[0][-1] > enough]
    if not tests:
        return []
    path, name, days, values = max(tests, key=lambda test: float(test[0][-1]))
    since = f"{days[change_point(path)]:%Y-%m-%d}"
    return [
        alarm("demand_shift", name, {"log_evidence": float(path[-1]), **values, "since": since})
    ]


def ranks(scored: pd.DataFrame, levels: Sequence[str]) -> Floats:
    """Return per row the share of forecast quantiles below the units sold, ties half.

    0.5 on average for a calibrated forecast if `levels` (columns) lie symmetric about the median. A
    sold-out day has the middle of the ranks above.
    """
    sold = scored["units"].to_numpy(float)[:, None]
    quantiles = scored[list(levels)].to_numpy(float)
    rank: Floats = (quantiles < sold).mean(axis=1) + 0.5 * (quantiles == sold).mean(axis=1)
    return np.where(scored["sold_out"].to_numpy(bool), (1.0 + rank) / 2.0, rank)


def inside_interval(scored: pd.DataFrame, rank: Floats, usual: float) -> Floats:
    """Return per row whether p10 … p90 held demand; for a sold-out day the chance that they did."""
    sold = scored["units"].to_numpy(float)
    inside = (sold >= scored["p10"].to_numpy()) & (sold <= scored["p90"].to_numpy())
    below = np.clip(2.0 * rank - 1.0, 0.0, 1.0)  # the rank a sold-out day had reached
    low, high = 0.5 - usual / 2.0, 0.5 + usual / 2.0
    chance = np.maximum(high - np.maximum(below, low), 0.0) / np.maximum(1.0 - below, 1e-9)
    return np.where(scored["sold_out"].to_numpy(bool), chance, inside.astype(float))


def forecast_alarms(
    scored: pd.DataFrame, levels: Sequence[str], usual_coverage: float, limits: Limits
) -> list[Alarm]:
    """Return alarms about bias and coverage of forecasts of one lead, served by one model.

    `scored`: rows of `backtest.outcomes` with `units` sold; `usual_coverage`: that of p10 … p90 in
    the backtest, which is above 80 % for counts.
    """
    if scored.empty:
        return []
    rank = ranks(scored, levels)
    inside = inside_interval(scored, rank, usual_coverage)
    daily = scored[["date"]].assign(rank=rank, inside=inside)
    daily = daily.groupby("date")[["rank", "inside"]].mean()
    result = []
    for name, column, usual in (
        ("forecast_bias", "rank", 0.5),
        ("coverage_off", "inside", usual_coverage),
    ):
        values = daily[column].to_numpy(float)
        most = max(float(side[-1]) for side in bets(values, usual, limits.tolerance))
        if most > for_streams(limits.evidence, 2):
            evidence = {"log_evidence": most, column: float(values.mean()), "usual": usual}
            result.append(alarm(name, "all series", evidence))
    return result
