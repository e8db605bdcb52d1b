"""`make bench-worlds`: every kind of model and two peers in each world of the simulator.

Twelve worlds and two seeds that nobody tuned on, small size. Costs are the newsvendor's at a
critical ratio of .85, and at the items' own; all are ratios to the oracle of the same world.
`WORLDS=base,events SEEDS=1 PEERS=0 make bench-worlds` takes fewer.
"""

import os
import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd

from bench import forecast
from bench.retail import FOLDER, ORACLE, Figure, against_oracle, judged, predicted, publish, world
from godatamarkets.worlds import WORLDS
from salescast.evaluation.backtest import BASELINES, run
from salescast.ordering.orders import newsvendor_cost

TWELVE = list(WORLDS)[:12]
NAMES = os.environ.get("WORLDS", ",".join(TWELVE)).split(",")
SEEDS = (1717, 1818)[: int(os.environ.get("SEEDS", "2"))]
KINDS = ("integrated", "boosting")
RATIO = 0.85
SCORES = (f"cost at {RATIO}", "wql", "cost", "bias", "coverage")


def measured(name: str, seed: int) -> pd.DataFrame:
    """Return the scores of every model in one world, one row per model."""
    seen = world("small", seed, process=name, levels=(RATIO,))
    baselines = run(seen.rows, seen.past, seen.tested, seen.refit_every, seen.recipe)
    parts = [baselines[baselines["model"].isin(BASELINES)]]
    parts += [predicted(seen, kind, kind) for kind in KINDS]
    if os.environ.get("PEERS", "1") == "1":
        parts += forecast.peers(seen, FOLDER / "peers" / f"{name}-{seed}")
    rows = judged(seen, pd.concat(parts, ignore_index=True))
    scores = against_oracle(rows, [level for level in seen.recipe.quantiles if level != RATIO])
    stock, actual = rows[f"p{100 * RATIO:02.0f}"].to_numpy(float), rows["actual"].to_numpy(float)
    under, over = np.full(len(rows), RATIO), np.full(len(rows), 1 - RATIO)
    cost = rows.assign(cost=newsvendor_cost(actual, stock, under, over)).groupby("model")["cost"]
    scores[f"cost at {RATIO}"] = cost.mean() / cost.mean()[ORACLE]
    print(f"\n{name}, seed {seed}\n{scores[list(SCORES)].round(3).to_string()}", flush=True)
    return scores


def figures() -> Iterator[Figure]:
    """Yield per world and model the mean of the seeds, then the best kind against the bars."""
    best: dict[str, list[float]] = {score: [] for score in SCORES[:2]}
    for name in NAMES:
        table = pd.concat([measured(name, seed) for seed in SEEDS]).groupby(level=0).mean()
        for model, row in table.drop(index=ORACLE).iterrows():
            for score in SCORES:
                unit = "share" if score in ("bias", "coverage") else "÷ oracle"
                yield Figure(f"{name}: {model}: {score}", row[score], unit)
        for score, values in best.items():
            values.append(float(table.loc[list(KINDS), score].min()))
    for score, values in best.items():
        yield Figure(f"best kind: {score}, mean of worlds", float(np.mean(values)), bar="≤ 1.045")
        yield Figure(f"best kind: {score}, worst world", float(np.max(values)), bar="≤ 1.10")


if __name__ == "__main__":
    sys.exit(0 if publish("worlds", figures()) else 1)
