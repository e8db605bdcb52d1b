"""`make bench-gate`: how often the gate is wrong about a challenger, by resampled backtests.

Two models serve 104 weekly origins of a simulated chain. What one saves against the other at each
origin is the noise of a true comparison, neighbouring origins hanging together as they do. From it
comparisons of as many origins as the gate sees are drawn: with a mean saving of nothing, to see
how often luck promotes, and of 3 % of the champion's cost, to see how often the gate misses it.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.retail import Figure, publish
from godatamarkets import Retailer
from godatamarkets.catalogue import EMBEDDED_END, START
from salescast.contract import schema
from salescast.evaluation import backtest
from salescast.evaluation.backtest import CHALLENGER, Recipe
from salescast.evaluation.inference import surely
from salescast.features import point_in_time
from salescast.settings import read_settings
from salescast.stages.backtesting import scored
from salescast.stages.configured import gate_policy, recipe
from salescast.stages.feature_table import origins

SIZE, SEED, WEEKS, REFIT = "small", 7, 104, 13
COMPARISONS = 1000  # of each pair and saving; the bar asks for 200
RUN, SEASON = (
    2,
    8,
)  # mean weeks in a row that a draw takes over: as far as savings correlate, or more
BETTER = 0.03
FALSE, MISSED = "no better, promoted", f"{BETTER:.0%} cheaper, missed"

Floats = NDArray[np.float64]


def served(size: str = SIZE, weeks: int = WEEKS) -> pd.DataFrame:
    """Return the mean cost a series-day by origin (rows) of rival recipes (columns)."""
    settings = read_settings("config.toml")
    delivered = Retailer(size, SEED).deliver(START, EMBEDDED_END)  # type: ignore[arg-type]
    tables = {name: schema.conform(name, rows) for name, rows in delivered.items()}
    how, last = recipe(settings, tables), schema.last_day(tables)
    trained, _ = origins(settings, tables)
    tested = backtest.cutoffs(last, weeks, 7, settings.forecast.horizon)
    rows = point_in_time.build(tables, sorted({*trained, *tested}), settings.forecast.horizon)
    past = cache(lambda day: point_in_time.past(tables, day))
    found = []
    for name, rival in rivals(how).items():
        predicted = backtest.run(rows, past, tested, REFIT, rival)
        found.append(predicted[predicted["model"] == CHALLENGER].assign(model=name))
        if name == "champion":
            found.append(predicted[predicted["model"] == "blind"])
    costs = scored(tables, pd.concat(found, ignore_index=True))
    return costs.pivot_table(index="origin", columns="model", values="cost", aggfunc="mean")


def rivals(how: Recipe) -> dict[str, Recipe]:
    """Return the champion's recipe, one much like it, and one of another kind."""
    return {
        "champion": how,
        "the same, levels over 28 days": replace(how, params={**how.params, "recent_days": 28.0}),
        "boosting": replace(how, kind="boosting"),
    }


def drawn(values: Floats, count: int, origins: int, run: int) -> Floats:
    """Return `count` samples of `origins` values each, their mean removed.

    A stationary bootstrap (Politis & Romano 1994) of runs of `run` neighbours on average.
    """
    rng, n = np.random.default_rng(1), len(values)
    fresh = rng.random((count, origins)) < 1 / run
    fresh[:, 0] = True
    jumps = rng.integers(0, n, (count, origins))
    at = np.empty((count, origins), dtype=np.int64)
    for t in range(origins):
        at[:, t] = np.where(fresh[:, t], jumps[:, t], (at[:, t - 1] + 1) % n)
    samples: Floats = (values - values.mean())[at]
    return samples


def promoted(savings: Floats, champion: float, seed: int) -> float:
    """Return the share of comparisons (rows) that the gate's rule would promote."""
    bounds = gate_policy(read_settings("config.toml"))
    tie = bounds.min_saving * champion
    sure = [surely(list(row), bounds.block, seed, bounds.promotion_error) > tie for row in savings]
    return float(np.mean(sure))


def figures(costs: pd.DataFrame, count: int = COMPARISONS) -> Iterator[Figure]:
    """Yield both errors for each rival, at the configured number of cutoffs."""
    window = read_settings("config.toml").backtest.cutoffs
    champion = float(costs["champion"].mean())
    for name in [column for column in costs if column != "champion"]:
        noise = (costs["champion"] - costs[name]).to_numpy()
        luck = drawn(noise, count, window, RUN)
        yield Figure(f"{name}: noise of a week's saving", float(noise.std()) / champion, "÷ cost")
        yield Figure(f"{name}: {FALSE}", promoted(luck, champion, 2), "share", "≤ 0.05")
        seasons = promoted(drawn(noise, count, window, SEASON), champion, 2)
        yield Figure(f"{name}: {FALSE}, by season", seasons, "share")
        better = luck + BETTER * champion
        yield Figure(f"{name}: {MISSED}", 1 - promoted(better, champion, 2), "share")


if __name__ == "__main__":
    sys.exit(0 if publish("gate", figures(served())) else 1)
