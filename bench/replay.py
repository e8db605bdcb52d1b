"""How long a replayed year takes, what a year of trouble costs, and whether it repeats itself.

`DAYS=60 SEEDS=1 make bench-replay` looks at less, `SIZE=demo` at the size of the embedded data.
"""

import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import sem, t

from bench.retail import CONFIG, Figure, publish
from flows.engine import inline
from godatamarkets.replay.daily_run import run_days
from godatamarkets.replay.policies import PLANNER, PRODUCT
from godatamarkets.replay.replay_state import Replay, make_plan, open_replay
from godatamarkets.replay.replay_summary import summarize
from salescast.data import store
from salescast.settings import read_settings

DAYS = int(os.environ.get("DAYS", "365"))
SEEDS = range(7, 7 + int(os.environ.get("SEEDS", "3")))
SIZE = os.environ.get("SIZE", "small")
LIMIT = {"small": "≤ 3", "demo": "≤ 15"}


def replayed(
    root: Path, scenario: str, seed: int, days: int = DAYS
) -> tuple[Replay, dict[str, Any], list[float]]:
    """Return a replay's world, its accounts and the peak memory after each day, MB."""
    os.environ["SALESCAST_FEED__GODATAMARKETS__SEED"] = str(seed)
    root.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(CONFIG, root / "config.toml")
    settings = read_settings(root / "config.toml")
    peaks: list[float] = []

    def tell(_: Replay) -> None:
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

    plan = make_plan(settings, ("bench", SIZE), None, days, [scenario])
    world = open_replay(settings, plan)
    with store.rehearsing():
        run_days(inline, world, tell)
        return world, summarize(world), peaks


def figures() -> Iterator[Figure]:
    """Replay a calm year, and years of trouble of several seeds, one of them twice."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        _, calm, peaks = replayed(Path(folder) / "calm", "calm", 7)
        minutes = (time.perf_counter() - start) / 60
        yield Figure(f"calm, {DAYS} days, {SIZE}", minutes, "minutes", LIMIT[SIZE])
        grown = peaks[-1] - peaks[len(peaks) // 2]
        yield Figure("peak memory grown in the second half", grown, "MB", "≤ 100")
        yield Figure("calm: false pages", float(len(calm["false_pages"])), "pages", "≤ 0")
        yield from _troubled(Path(folder))


def _troubled(folder: Path) -> Iterator[Figure]:
    """Replay years of trouble in processes of their own, the first seed's in two of them."""
    jobs = [(folder / f"year-{seed}", seed) for seed in SEEDS] + [(folder / "again", SEEDS[0])]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        *years, again = pool.map(_year, *zip(*jobs, strict=True))
    results = [result for result, _ in years]
    shares = [result["recovered"] for result in results]
    yield Figure("year: of the oracle's saving", float(np.mean(shares)), "share", "≥ 0.7")
    yield Figure("year: least of the seeds", float(np.min(shares)), "share")
    costs = [result["costs"] for result in results]
    saved = [cost[PLANNER]["cost"] - cost[PRODUCT]["cost"] for cost in costs]
    yield Figure("year: saved against the planner", float(np.mean(saved)), "USD")
    if len(saved) > 1:  # Student's interval over seeds
        low, high = t.interval(0.9, len(saved) - 1, np.mean(saved), sem(saved))
        yield Figure("  90 % interval over seeds, from", float(low), "USD")
        yield Figure("  90 % interval over seeds, to", float(high), "USD")
    for name in ("planner", "frozen", "oracle"):
        ratios = [result["against"][name]["ratio"] for result in results]
        yield Figure(f"year: our cost ÷ {name}'s", float(np.mean(ratios)))
    found = [fault["alarm"] is not None for result in results for fault in result["detections"]]
    yield Figure("year: faults detected", float(np.mean(found)), "share", "≥ 0.9")
    same = float(again[1] == years[0][1])
    yield Figure("the same replay twice is identical", same, "1 if so", "≥ 1")


def _year(root: Path, seed: int) -> tuple[dict[str, Any], bytes]:
    world, result, _ = replayed(root, "year", seed)
    return result, (world.settings.build / "replay.json").read_bytes()


if __name__ == "__main__":
    sys.exit(0 if publish("replay", figures()) else 1)
