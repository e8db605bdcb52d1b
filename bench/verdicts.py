"""`make bench-verdicts`: the error rates of every statistical decision, by simulation.

Histories are simulated at the level of the statistic and judged by the product's own functions:
the gate's comparison of costs, its segments, the canary's daily looks, the daily alarms. Noise is
normal, left-skewed (minus a gamma of shape ½, skewness −2.8: a challenger that often saves a little
and rarely loses much) or Student's t with 3 degrees of freedom, and autocorrelated.
Power is measured on noise resampled from what two like models saved against each other in the demo
backtest, which is made once (build/bench/like_models.parquet; minutes).
`HISTORIES=1000 make bench-verdicts` takes fewer histories.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import beta

from bench.retail import FOLDER, Figure, publish
from godatamarkets import Retailer
from godatamarkets.catalogue import EMBEDDED_END, START
from salescast.contract import schema
from salescast.contract.conform import conform
from salescast.evaluation import backtest, inference
from salescast.evaluation.backtest import CHALLENGER
from salescast.evaluation.live_comparison import ERROR
from salescast.features import point_in_time
from salescast.monitoring import sequential, shift_tests
from salescast.settings import read_settings
from salescast.stages.backtesting import scored
from salescast.stages.configured import recipe
from salescast.stages.feature_table import origins

Floats = NDArray[np.float64]

HISTORIES = int(os.environ.get("HISTORIES", "10000"))
CHUNK = 1000  # histories at a time, where there are many segments
SETTINGS = read_settings("config.toml")
NOISES = ("normal", "left-skewed", "t3")
CORRELATIONS = (0.0, 0.35, 0.6)
LENGTHS = (13, 26, 52)
LEAD_NOISES = (0.0, 1.0, 3.0)  # of single leads, ÷ the noise that all leads of a day share
LOOKS, HORIZON = 28, 14
BETTER, DEARER = 0.03, 0.10  # of the champion's cost
SIZES = {18: (3, 3), 144: (6, 6), 4000: (100, 10)}  # series: places, items
DEMAND, DISPERSION = 5.0, 5.0  # a series' mean units a day, its k
YEAR, WATCHED = 365, 84
SHARED, SHARED_CORRELATION = 0.08, 0.3  # of mean demand: the error that all series share
BURN_IN = 30


def noise(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Return independent noise of mean 0 and variance 1."""
    if kind == "normal":
        return rng.normal(size=shape)
    if kind == "t3":
        return rng.standard_t(3, shape) / np.sqrt(3.0)
    return (1.0 - rng.gamma(0.5, 2.0, shape)) / np.sqrt(2.0)


def histories(
    kind: str, correlation: float, shape: tuple[int, ...], rng: np.random.Generator
) -> Floats:
    """Return an AR(1) of `noise` along the last axis, variance 1."""
    values = noise(kind, (*shape[:-1], shape[-1] + BURN_IN), rng)
    kept = np.sqrt(1.0 - correlation**2)
    for at in range(1, values.shape[-1]):
        values[..., at] = correlation * values[..., at - 1] + kept * values[..., at]
    return values[..., BURN_IN:]


def lower_limit(share: float, count: int) -> float:
    """Return the lower end of the 95 % Clopper-Pearson interval of a simulated share."""
    hits = round(share * count)
    return float(beta.ppf(0.025, hits, count - hits + 1)) if hits else 0.0


def error(name: str, mistakes: NDArray[np.bool_], bar: float) -> Iterator[Figure]:
    """Yield the share of mistakes, and the lower limit that has to keep the bar."""
    share = float(mistakes.mean())
    yield Figure(name, share, "share")
    yield Figure(f"{name}, lower limit", lower_limit(share, len(mistakes)), "share", f"≤ {bar:g}")


def gate() -> Iterator[Figure]:
    """Yield how often the gate promotes a challenger that saves nothing, or 3 % less."""
    stated, rng = SETTINGS.gate.promotion_error, np.random.default_rng(1)
    for kind, correlation, length in product(NOISES, CORRELATIONS, LENGTHS):
        cell = f"gate: {kind}, correlation {correlation}, {length} origins"
        saved = histories(kind, correlation, (HISTORIES, length), rng)
        yield from error(
            f"{cell}: no better, promoted", inference.lower_bound(saved, stated) > 0, stated
        )
        for effect in (-1.0, 1.0):
            promoted = inference.lower_bound(saved + effect, stated) > 0
            name = "better" if effect > 0 else "worse"
            yield Figure(f"{cell}: one noise {name}, promoted", float(promoted.mean()), "share")


def segments() -> Iterator[Figure]:
    """Yield how often any of many segments is called worse, where each is at the margin."""
    stated, rng = SETTINGS.gate.promotion_error, np.random.default_rng(2)
    for count, kind, correlation, length in product((14, 420), NOISES, CORRELATIONS, LENGTHS[1:]):
        rounds = -(-HISTORIES // CHUNK)
        worse = [
            inference.rejected(
                inference.p_value(histories(kind, correlation, (CHUNK, count, length), rng)), stated
            ).any(axis=1)
            for _ in range(rounds)
        ]
        name = f"segments: {count}, {kind}, correlation {correlation}, {length} origins"
        yield from error(f"{name}: any called worse", np.concatenate(worse), stated)


def by_date(
    kind: str, correlation: float, lead_noise: float, count: int, rng: np.random.Generator
) -> Floats:
    """Return what a trial saves by outcome date: origins a day, HORIZON leads each.

    A day's outcome is forecast by as many origins as the trial has had, at most HORIZON: their
    forecasts share the day's noise and have noise of their own.
    """
    leads = np.minimum(np.arange(1, LOOKS + 1), HORIZON)
    shared = histories(kind, correlation, (count, LOOKS), rng)
    own = rng.normal(size=(count, LOOKS)) * lead_noise / np.sqrt(leads)
    return shared + own


def withdrawn(days: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return whether a trial ends at any look because it is dearer, and because it is cheaper."""
    length = inference.BLOCK_DAYS
    whole = days.shape[-1] // length * length
    blocks = days[..., :whole].reshape(*days.shape[:-1], -1, length).mean(axis=-1)
    low, high = inference.confidence_sequence(blocks, ERROR)
    return high[..., -1] < 0, low[..., -1] > 0


def canary() -> Iterator[Figure]:
    """Yield how often 28 daily looks withdraw an equal canary, or roll the champion back."""
    rng = np.random.default_rng(3)
    for kind, correlation, lead_noise in product(NOISES, CORRELATIONS, LEAD_NOISES):
        cell = f"canary: {kind}, correlation {correlation}, lead noise {lead_noise:g}"
        dearer, cheaper = withdrawn(by_date(kind, correlation, lead_noise, HISTORIES, rng))
        yield from error(f"{cell}: equal, withdrawn", dearer, ERROR)
        yield from error(f"{cell}: equal, champion rolled back", cheaper, ERROR)
        for effect in (1.0, 2.0, 3.0):
            days = by_date(kind, correlation, lead_noise, HISTORIES, rng) - effect
            name = f"{cell}: {effect:g} noises of a day dearer, withdrawn"
            yield Figure(name, float(withdrawn(days)[0].mean()), "share")


def like_models() -> pd.DataFrame:
    """Return the cost by series, origin and date of the champion's recipe and two rivals."""
    path = FOLDER / "like_models.parquet"
    if path.exists():
        return pd.read_parquet(path)
    delivered = Retailer("demo", 7).deliver(START, EMBEDDED_END)  # type: ignore[arg-type]
    tables = {name: conform(name, rows) for name, rows in delivered.items()}
    how, last = recipe(SETTINGS, tables), schema.last_day(tables)
    trained, _ = origins(SETTINGS, tables)
    tested = backtest.cutoffs(last, 52, 7, SETTINGS.forecast.horizon)
    rows = point_in_time.build(tables, sorted({*trained, *tested}), SETTINGS.forecast.horizon)
    past = cache(lambda day: point_in_time.past(tables, day))
    like = replace(how, params={**how.params, "recent_days": 28.0})
    first, second = (backtest.run(rows, past, tested, 13, each) for each in (how, like))
    parts = [first[first["model"].isin((CHALLENGER, backtest.BLIND))]]
    parts += [second[second["model"] == CHALLENGER].assign(model="like")]
    costs = scored(tables, pd.concat(parts, ignore_index=True))
    costs = costs[["model", *inference.DAY, "cost"]].replace({"model": {CHALLENGER: "champion"}})
    path.parent.mkdir(parents=True, exist_ok=True)
    costs.to_parquet(path)
    return costs


def drawn(values: Floats, count: int, length: int, run: float, rng: np.random.Generator) -> Floats:
    """Return `count` resamples of `length` values, their mean removed.

    A stationary bootstrap (Politis & Romano 1994) of runs of `run` neighbours on average.
    """
    n = len(values)
    fresh = rng.random((count, length)) < 1.0 / run
    fresh[:, 0] = True
    jumps = rng.integers(0, n, (count, length))
    at = np.empty((count, length), dtype=np.int64)
    for t in range(length):
        at[:, t] = np.where(fresh[:, t], jumps[:, t], (at[:, t - 1] + 1) % n)
    samples: Floats = (values - values.mean())[at]
    return samples


def power(costs: pd.DataFrame) -> Iterator[Figure]:
    """Yield how often a truly better challenger is promoted and a dearer canary withdrawn."""
    rng, stated = np.random.default_rng(4), SETTINGS.gate.promotion_error
    champion = costs[costs["model"] == "champion"]
    tie = SETTINGS.gate.min_saving
    for name, bar in (("like", "≥ 0.9"), (backtest.BLIND, "")):
        pairs = inference.paired(costs[costs["model"] == name], champion)
        saved = inference.unit_means("origin", pairs, "saved") / champion["cost"].mean()
        yield Figure(f"{name} model: noise of a week's saving", float(saved.std()), "÷ cost")
        for length in LENGTHS:
            weeks = drawn(saved, HISTORIES, length, 3.0, rng)
            promoted = inference.lower_bound(weeks, stated) > tie
            cell = f"gate: noise of a {name} model, {length} origins"
            yield from error(f"{cell}: no better, promoted", promoted, stated)
            found = float((inference.lower_bound(weeks + BETTER, stated) > tie).mean())
            asked = bar if length == 26 else ""
            yield Figure(f"{cell}: {BETTER:.0%} cheaper, promoted", found, "share", asked)
        days = pairs.groupby("date")["saved"].mean().to_numpy(float) / champion["cost"].mean()
        yield Figure(f"{name} model: noise of a day's saving", float(days.std()), "÷ cost")
        trial = drawn(days, HISTORIES, LOOKS, 3.0, rng)
        yield from error(
            f"canary: noise of a {name} model: equal, withdrawn", withdrawn(trial)[0], ERROR
        )
        found = float(withdrawn(trial - DEARER)[0].mean())
        asked = "≥ 0.8" if bar else ""
        yield Figure(
            f"canary: noise of a {name} model: {DEARER:.0%} dearer, withdrawn",
            found,
            "share",
            asked,
        )


def stream_sizes(series: int) -> list[float]:
    """Return how many series each stream of the shift test has."""
    places, items = SIZES[series]
    return [
        series,
        *[series / places] * places,
        *[series / items] * items,
        0.4 * series,
        series * 0.6,
    ]


def stream_evidence(
    series: float, shift: float, change: float, count: int, days: int, rng: np.random.Generator
) -> Floats:
    """Return the daily evidence of a stream for a shift, where demand changes by `change`.

    Sums of many counts are nearly normal. All series of a stream share an error of SHARED of the
    mean, correlated from day to day.
    """
    mean = DEMAND * series
    variance = series * (DEMAND + DEMAND**2 / DISPERSION)
    common = (SHARED * mean) ** 2
    own = rng.normal(size=(count, days)) * np.sqrt(variance)
    shared = histories("normal", SHARED_CORRELATION, (count, days), rng) * np.sqrt(common)
    error_units = own * np.sqrt(1.0 + change) + shared + change * mean
    effect = shift * mean
    ratio = (effect * error_units - effect**2 / 2.0) / variance
    return sequential.cusum(ratio * variance / (variance + (shift_tests.COMMON * mean) ** 2))


def calm_years() -> Iterator[Figure]:
    """Yield false pages in ten calm years, and how soon a shift of 30 % pages."""
    limits, rng = SETTINGS.monitoring, np.random.default_rng(5)
    for series in SIZES:
        sizes = stream_sizes(series)
        enough = sequential.for_streams(limits.evidence, 2 * len(sizes))
        pages = np.zeros(HISTORIES, dtype=bool)
        for size, shift in product(sizes, (limits.shift, -limits.shift)):
            paths = stream_evidence(size, shift, 0.0, HISTORIES, YEAR, rng)
            pages |= (paths > enough).any(axis=1)
        name = f"alarms: {series:,} series"
        yield Figure(
            f"{name}: false demand_shift pages in 10 calm years", 10 * pages.mean(), "pages", "≤ 1"
        )
        for part, size in (("place", sizes[1]), ("item", sizes[1 + SIZES[series][0]])):
            for shift in (limits.shift, -limits.shift):
                paths = stream_evidence(size, shift, shift, HISTORIES, 14, rng)
                found = float((paths > enough).any(axis=1).mean())
                bar = "≥ 0.9"
                yield Figure(
                    f"{name}: {shift:+.0%} in one {part}, paged within 14 days", found, "share", bar
                )


def rank_pages() -> Iterator[Figure]:
    """Yield false pages of the rank test, which needs no model of demand, in ten calm years."""
    limits, rng = SETTINGS.monitoring, np.random.default_rng(6)
    quarters = 20 * HISTORIES
    for kind, correlation in product(("normal", "t3"), (0.0, 0.35)):
        ranks = 0.5 + 0.05 * histories(kind, correlation, (quarters, WATCHED), rng)
        most = np.full(quarters, -np.inf)
        for day in range(shift_tests.MIN_DAYS, WATCHED + 1, 7):
            sides = shift_tests.rank_evidence(ranks[:, :day])
            most = np.maximum(most, np.maximum(*(side[:, -1] for side in sides)))
        for series in SIZES:
            streams = len(stream_sizes(series))
            enough = sequential.for_streams(limits.evidence, 2 * streams)
            rate = 40.0 * streams * float((most > enough).mean())
            name = f"alarms: {series:,} series, ranks, {kind}, correlation {correlation}"
            yield Figure(f"{name}: false pages in 10 calm years", rate, "pages", "≤ 1")


def figures() -> Iterator[Figure]:
    """Measure everything."""
    yield from gate()
    yield from segments()
    yield from canary()
    yield from calm_years()
    yield from rank_pages()
    yield from power(like_models())


if __name__ == "__main__":
    sys.exit(0 if publish("verdicts", figures()) else 1)
