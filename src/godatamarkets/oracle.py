"""The best possible forecast, and the truth. For tests and benches alone.

`as_issued` knows everything known at the close of an origin, and the process itself: each target
day's demand is a mixture of negative binomials over Monte Carlo paths of the weather to come.
The paths are fixed, antithetic, and stratified at each lead, so that all origins, cities and
models meet the same ones; docs/reference/simulator.md states their error.

Frames hold one row per (store_id, item_id, origin, date, lead_time) on which the store trades:
`demand` (the outcome), `mean`, `below` = P(D < demand), `upto` = P(D ≤ demand), `critical`
(the quantile at the item's own critical ratio) and one column per level (`p05`, …).
A fault that changes demand or forecasts is known to the oracle from its first day on. Of a world's
levels it knows today's and the process, of its shocks the process alone.
"""

import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import gammaincinv, gammaln, ndtri

from godatamarkets.catalogue import LEADS
from godatamarkets.demand import Counts, drivers, negative_binomial
from godatamarkets.levels import Future
from godatamarkets.randomness import Floats, normals, uniforms
from godatamarkets.retailer import Retailer
from godatamarkets.tables import date_of, texts
from godatamarkets.weather import HISTORY, RHO, SKILL, chain, rain, scale
from godatamarkets.worlds import WORLDS

CACHE = Path("build/oracle")
PATHS = 1600
_LOWEST, _STEP = -9.0, 0.02  # of the grid of log rates on which mixtures are gathered
_GRID = np.exp(_LOWEST + _STEP * np.arange(900))  # up to 8,000 units a day
_TAIL = 0.9999  # of the largest rate's distribution that a table covers


def true_demand(retailer: Retailer, first: Any, last: Any) -> pd.DataFrame:
    """Return store_id, item_id, date, `demand`, and its `mean` given the actual weather."""
    a, b = retailer.reach(first), retailer.reach(last)
    days, series = np.nonzero(retailer.demand.trading[:, a : b + 1].T)
    days = days + a
    return pd.DataFrame(
        {
            **_names(retailer, series),
            "date": date_of(days),
            "demand": retailer.demand.units[series, days],
            "mean": retailer.demand.rate[series, days],
        }
    )


def as_issued(
    retailer: Retailer,
    origins: Sequence[Any],
    levels: Sequence[float],
    horizon: int = LEADS - 1,
    paths: int = PATHS,
    cache: Path | None = CACHE,
) -> pd.DataFrame:
    """Return the predictive distribution at each origin; `paths` is even, `cache` a folder."""
    latest = _reach(retailer, origins, horizon)

    def compute() -> pd.DataFrame:
        noise, tables, parts = _Noise(retailer, paths), _Tables(), []
        for origin in latest:
            rates = _rates(retailer, origin, horizon, noise)
            parts.append(
                _frame(retailer, origin, _mixtures(retailer, origin, rates, tables, levels))
            )
        return pd.concat(parts, ignore_index=True)

    process = (retailer.size, retailer.seed, [fault.text for fault in retailer.faults])
    key = (*process, retailer.world, retailer.economics, latest, list(levels), horizon, paths)
    return _cached(cache, key, compute)


def perfect_weather(
    retailer: Retailer, origins: Sequence[Any], levels: Sequence[float], horizon: int = LEADS - 1
) -> pd.DataFrame:
    """Return the same with the future weather known: no honest forecast can reach it."""
    tables, parts = _Tables(), []
    for origin in _reach(retailer, origins, horizon):
        rates = retailer.demand.rate[:, None, origin + 1 : origin + 1 + horizon]
        parts.append(_frame(retailer, origin, _mixtures(retailer, origin, rates, tables, levels)))
    return pd.concat(parts, ignore_index=True)


def _reach(retailer: Retailer, origins: Sequence[Any], horizon: int) -> list[int]:
    ahead = pd.Timedelta(days=horizon)
    return [retailer.reach(pd.Timestamp(o) + ahead) - horizon for o in origins]


def sample_paths(retailer: Retailer, origin: Any, n: int, horizon: int = LEADS - 1) -> Counts:
    """Return `n` joint samples of demand, shape (n, series, leads), series in retailer's order.

    Days depend on each other as they do in truth; cities meet the same weather surprises.
    """
    (day,) = _reach(retailer, [origin], horizon)
    rates = _rates(retailer, day, horizon, _Noise(retailer, n))[:, :n].transpose(1, 0, 2)
    chance = uniforms(0, "oracle", "demand", rates.size).reshape(rates.shape)
    return negative_binomial(chance, rates, retailer.series.of_item("dispersion")[:, None])


class _Noise:
    """What nobody knows yet about the 14 days after an origin: weather, levels and shocks.

    The weather that no issue knows is a unit normal per path and lead.
    """

    def __init__(self, retailer: Retailer, paths: int) -> None:
        self._parts = {name: _surprises(name, paths) for name in SKILL}
        series, even = retailer.series, 2 * -(-paths // 2)
        shape = len(series.item), len(series.cities), even, LEADS - 1
        self.future = Future(WORLDS[retailer.world], *shape)
        self._done: dict[tuple[str, float], Floats] = {}

    def __call__(self, variable: str, spread: Floats) -> Floats:
        """Return surprises (cities, paths, leads) of the standard deviation `spread`."""
        # An upgraded issue knows part of the next day's news: less of it is a surprise.
        shares = spread[:, 0] / np.sqrt(1 - SKILL[variable][1] ** 2)
        units = np.stack([self._unit(variable, round(float(s), 9)) for s in shares])
        return units[..., : spread.shape[1]] * spread[:, None, :]

    def _unit(self, variable: str, share: float) -> Floats:
        if (variable, share) not in self._done:
            first, later = self._parts[variable]
            ranks = (share * first + later).argsort(axis=0, kind="stable").argsort(axis=0)
            # Each lead's values become the exact normal quantiles, in the order they were drawn.
            unit: Floats = ndtri((ranks + 0.5) / len(ranks))
            self._done[variable, share] = unit
        return self._done[variable, share]


def _surprises(variable: str, paths: int) -> tuple[Floats, Floats]:
    horizon = LEADS - 1
    half = normals(0, "oracle", variable, -(-paths // 2) * horizon * LEADS)
    draws = half.reshape(-1, horizon, LEADS)
    news = chain(np.concatenate([draws, -draws]), RHO[variable]) * scale(variable)
    first = np.stack([news[:, 0, lead - 1] for lead in range(1, LEADS)], axis=1)
    later = np.zeros_like(first)
    for lead in range(1, LEADS):
        for ahead in range(lead - 1):
            later[:, lead - 1] += news[:, lead - ahead - 1, ahead]
    return first, later


def _rates(retailer: Retailer, origin: int, horizon: int, noise: _Noise) -> Floats:
    """Return λ of shape (series, paths, leads) on the paths of weather that may follow."""
    weather, series = retailer.weather, retailer.series
    days, leads = slice(origin + 1, origin + 1 + horizon), slice(1, 1 + horizon)
    futures = {}
    for variable, (mean, spread) in weather.latent.items():
        news = noise(variable, spread[:, origin, leads])
        futures[variable] = mean[:, None, origin, leads] + news
    normal = slice(days.start + HISTORY, days.stop + HISTORY)
    wet = rain(futures["rain"], weather.climate.wet[:, None, normal], series.cities)
    known = weather.precip[:, None, origin + 1 : origin + 1 + HISTORY]
    known = np.broadcast_to(known, (*wet.shape[:2], HISTORY))
    weekday = np.arange(days.start, days.stop) % 7  # START is a Monday
    mm = np.concatenate([known, wet], axis=-1)
    anomaly = np.array([city.temp_sd for city in series.cities])[:, None, None] * futures["temp"]
    temp = anomaly, weather.climate.temp[:, None, normal] + anomaly
    log_rate = _log_rate_without_weather(retailer, origin, days, noise)
    world, shape = WORLDS[retailer.world], series.shape(WORLDS[retailer.world])
    for number in range(len(world.wet_mm)):
        stores, responses = shape == number, retailer.demand.response
        for factor, driver in zip(
            responses, drivers(world, number, (mm, weekday), temp), strict=True
        ):
            log_rate[stores] += factor[stores, None, days] * driver[series.city[stores]]
    return np.where(retailer.demand.trading[:, None, days], np.exp(log_rate), 0.0)


def _log_rate_without_weather(
    retailer: Retailer, origin: int, days: slice, noise: _Noise
) -> Floats:
    """Return calendar, levels that may follow and shocks: shape (series, paths, days)."""
    demand, future, horizon = retailer.demand, noise.future, days.stop - days.start
    calendar = demand.calendar[:, days] - demand.levels.log_level[:, days]
    by_city, by_series = future.shocks
    log_rate = future.log_levels(demand.levels, origin)[..., :horizon] + calendar[:, None]
    return np.asarray(log_rate + (by_city[retailer.series.city] + by_series)[..., :horizon])


class _Tables:
    """P(D ≤ n) for each dispersion: rows are the grid of log rates, columns n."""

    def __init__(self) -> None:
        self._tables: dict[tuple[float, int], Floats] = {}

    def __call__(self, dispersion: float, columns: int) -> Floats:
        key = dispersion, columns
        if key not in self._tables:
            self._tables[key] = _probabilities(dispersion, columns)
        return self._tables[key]


def _probabilities(dispersion: float, columns: int) -> Floats:
    n = np.arange(columns)
    ways = gammaln(n + dispersion) - gammaln(dispersion) - gammaln(n + 1)
    share = (_GRID / (_GRID + dispersion))[:, None]
    single = np.exp(ways + dispersion * np.log1p(-share) + n * np.log(share))
    return np.asarray(np.minimum(single.cumsum(axis=1), 1.0))


def _gather(rates: Floats) -> tuple[slice, Floats]:
    """Return a part of the grid and the weight of each of its rates in each row of `rates`.

    Between two of the grid's rates weight is shared so that the mean stays what it is.
    """
    low = np.clip((np.log(rates) - _LOWEST) // _STEP, 0, len(_GRID) - 2).astype(np.int64)
    upper = (rates - _GRID[low]) / (_GRID[low + 1] - _GRID[low])
    part = slice(int(low.min()), int(low.max()) + 2)
    width = part.stop - part.start
    cells = (np.arange(len(rates))[:, None] * width + low - part.start).ravel()
    size = len(rates) * width
    lower_weight = np.bincount(cells, (1 - upper).ravel(), size)
    upper_weight = np.bincount(cells + 1, upper.ravel(), size)
    return part, (lower_weight + upper_weight).reshape(-1, width) / rates.shape[1]


def _mixtures(
    retailer: Retailer, origin: int, rates: Floats, tables: _Tables, levels: Sequence[float]
) -> dict[str, Floats]:
    """Return each column of the frame, shape (series, leads)."""
    series, paths, horizon = rates.shape
    flat = rates.transpose(0, 2, 1).reshape(-1, paths)
    demand = retailer.demand.units[:, origin + 1 : origin + 1 + horizon].ravel()
    item = np.repeat(retailer.series.item, horizon)
    result = np.zeros((3 + len(levels), len(flat)))
    for number, item_parameters in enumerate(retailer.series.items):
        size = _columns(flat.max(axis=1), demand, item_parameters.dispersion)
        selected = (item == number) & (flat[:, 0] > 0)  # a closed store has no distribution
        for columns in np.unique(size[selected]):
            rows = np.flatnonzero(selected & (size == columns))
            part, weights = _gather(flat[rows])
            chance = weights @ tables(item_parameters.dispersion, int(columns))[part]
            result[:, rows] = _read(chance, demand[rows], [item_parameters.critical_ratio, *levels])
    names = ["below", "upto", "critical", *(f"p{100 * level:02.0f}" for level in levels)]
    columns = {"demand": demand, "mean": flat.mean(axis=1), **dict(zip(names, result, strict=True))}
    return {name: column.reshape(series, horizon) for name, column in columns.items()}


def _columns(rate: Floats, demand: Counts, dispersion: float) -> Counts:
    """Return how many counts a table needs, a power of two: nearly all of a gamma–Poisson."""
    most = rate * gammaincinv(dispersion, _TAIL) / dispersion
    needed = np.maximum(most + 4 * np.sqrt(most), demand) + 4
    return np.asarray(2 ** np.ceil(np.log2(needed))).astype(np.int64)


def _read(chance: Floats, demand: Counts, levels: Sequence[float]) -> Floats:
    """Return P(D < demand), P(D ≤ demand) and a quantile per level; `chance` is (rows, n)."""
    rows = np.arange(len(chance))
    below = np.where(demand > 0, chance[rows, np.maximum(demand - 1, 0)], 0.0)
    quantiles = [(chance < level - 1e-9).sum(axis=1) for level in levels]
    return np.stack([below, chance[rows, demand], *quantiles])


def _frame(retailer: Retailer, origin: int, columns: dict[str, Floats]) -> pd.DataFrame:
    first = origin + 1
    horizon = columns["mean"].shape[1]
    trading = retailer.demand.trading[:, first : first + horizon]
    series, lead = np.nonzero(trading)
    frame = pd.DataFrame(
        {
            **_names(retailer, series),
            "origin": date_of(np.full(len(lead), origin)),
            "date": date_of(first + lead),
            "lead_time": lead + 1,
            **{name: column[series, lead] for name, column in columns.items()},
        }
    )
    return frame.astype({"demand": "int64"})


def _names(retailer: Retailer, series: Counts) -> dict[str, Any]:
    stores, items = zip(*retailer.series.names, strict=True)
    return {"store_id": texts(stores).take(series), "item_id": texts(items).take(series)}


def _cached(
    cache: Path | None, key: tuple[Any, ...], compute: Callable[[], pd.DataFrame]
) -> pd.DataFrame:
    if cache is None:
        return compute()
    digest = sha256(repr(key).encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    path = cache / f"{digest.hexdigest()[:24]}.parquet"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        compute().to_parquet(partial, index=False)
        partial.replace(path)
    return pd.read_parquet(path)
