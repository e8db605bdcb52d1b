"""`make bench-recovery`: how near the loop comes, after customers changed, to knowing them anew.

Whole replays of small worlds, in each of which customers change once. From 45 days later on, what
was served is compared with a model of the new regime, trained on a past in which it always held,
and with the first champion, never trained again. `SEEDS=1 SIZE=demo` in front takes one seed, and
the size of the embedded data.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.replay import replayed
from bench.retail import DAY, Figure, publish
from godatamarkets import Retailer, oracle
from godatamarkets.catalogue import EMBEDDED_END, START
from godatamarkets.replay.detection import EXPECTED
from godatamarkets.replay.replay_state import Replay
from salescast.contract import schema
from salescast.contract.conform import conform
from salescast.data import store
from salescast.evaluation import backtest
from salescast.features import point_in_time
from salescast.ledger.ledger import Ledger
from salescast.models import forecaster, make
from salescast.ordering.orders import newsvendor_cost, unit_costs
from salescast.release import Release, Releases
from salescast.stages.configured import recipe
from salescast.stages.feature_table import origins

FAULTS = tuple(os.environ.get("FAULTS", "competitor,sensitivity_shift").split(","))
SEEDS = range(7, 7 + int(os.environ.get("SEEDS", "3")))
SHIFT, GRACE, DAYS = 20, 45, 110  # days after the first training
PRODUCT, FROZEN, INFORMED = "ours", "frozen", "informed"


def compared(world: Replay, fault: str) -> pd.DataFrame:
    """Return what forecasts made after the grace cost: ours, the frozen and the informed model's.

    Columns model, cost and those of a forecast, on the same rows of each.
    """
    settings, tables = world.settings, store.read_all(world.settings.data)
    how = recipe(settings, tables)
    first = EMBEDDED_END + pd.Timedelta(days=SHIFT + GRACE)
    last = schema.last_day(tables)
    with Ledger(settings.ledger_url) as ledger:
        served = ledger.forecasts(since=first, until=last)
        begun = ledger.promotions().iloc[0]
    served = served[served["origin"] >= first]
    rows = point_in_time.build(tables, sorted(served["origin"].unique()), settings.forecast.horizon)
    release = Release(int(begun["sequence"]), begun["model_version"], begun["digest"])
    frozen = Releases(settings.releases).read(release).model
    parts = [
        served.assign(model=PRODUCT),
        backtest.served_by(frozen, rows, how, FROZEN),
        backtest.served_by(_informed(world, fault, first), rows, how, INFORMED),
    ]
    found = pd.concat(parts, ignore_index=True).merge(_true_demand(world, last), on=DAY)
    found = found.merge(unit_costs(schema.latest("items", tables["items"])), on="item_id")
    named = ("demand", "stock_target", "underage", "overage")
    return found.assign(cost=newsvendor_cost(*(found[name].to_numpy(float) for name in named)))


def _informed(world: Replay, fault: str, cutoff: pd.Timestamp) -> forecaster.Forecaster:
    """Return the recipe's model of a past in which customers always were as they are now."""
    plan = world.plan
    always = Retailer(plan.size, plan.seed, [f"{fault}@{START:%Y-%m-%d}"])
    result = always.deliver(START, cutoff)
    tables = {name: conform(name, rows) for name, rows in result.items()}
    how, (trained, _) = recipe(world.settings, tables), origins(world.settings, tables)
    rows = point_in_time.build(tables, trained, world.settings.forecast.horizon)
    return make(how.kind, how.params, how.seed).fit(rows, point_in_time.past(tables, cutoff))


def _true_demand(world: Replay, last: pd.Timestamp) -> pd.DataFrame:
    plan = world.plan
    retailer = Retailer(plan.size, plan.seed, plan.faults)
    return oracle.true_demand(retailer, EMBEDDED_END, last)[[*DAY, "demand"]]


def figures() -> Iterator[Figure]:
    """Yield per change of customers what the loop costs against knowing, and against resting."""
    for fault in FAULTS:
        with tempfile.TemporaryDirectory() as folder:
            runs = [_run(Path(folder), fault, seed) for seed in SEEDS]
        money = [rows.groupby("model")["cost"].sum() for rows, _ in runs]
        against = [float(each[PRODUCT] / each[INFORMED]) for each in money]
        yield Figure(f"{fault}: cost ÷ informed", float(np.mean(against)), bar="≤ 1.05")
        yield Figure(f"{fault}: worst seed", float(np.max(against)))
        rest = [float(each[FROZEN] / each[INFORMED]) for each in money]
        yield Figure(f"{fault}: never trained again ÷ informed", float(np.mean(rest)))
        delays = [result["detections"][0]["days"] for _, result in runs]
        late = [float(np.inf if days is None else days) for days in delays]
        yield Figure(f"{fault}: days until told", float(np.median(late)), "days", "≤ 14")
        yield Figure(f"{fault}: days until promoted", _recovery([t for _, t in runs]), "days")


def _run(folder: Path, fault: str, seed: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    began = EMBEDDED_END + pd.Timedelta(days=SHIFT)
    world, result, _ = replayed(folder / f"{seed}", f"{fault}@{began:%Y-%m-%d}", seed, DAYS)
    trainings = [(t["day"], t["why"], t["refused"] or "promoted") for t in result["trained"]]
    print(f"{fault}, seed {seed}: {EXPECTED[fault]}, {trainings}", file=sys.stderr, flush=True)
    return compared(world, fault), result


def _recovery(runs: list[dict[str, Any]]) -> float:
    """Return the median days from the shift to the first promotion after it."""
    began = EMBEDDED_END + pd.Timedelta(days=SHIFT)
    waits = []
    for result in runs:
        after = [pd.Timestamp(t["day"]) for t in result["trained"] if not t["refused"]]
        waits.append(min([(day - began).days for day in after if day > began], default=np.inf))
    return float(np.median(waits))


if __name__ == "__main__":
    sys.exit(0 if publish("recovery", figures()) else 1)
