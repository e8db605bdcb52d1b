"""How soon alarms detect a fault, and how often they are raised without one.

Cheaper than whole replays: models are fitted each quarter on the deliveries of the simulated
retailer, and the alarms are evaluated each day, in worlds of many seeds.
`SEEDS=3 SIZE=small make bench-alarms` takes fewer and smaller ones.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

import numpy as np
import pandas as pd

from bench.retail import CONFIG, Figure, publish
from godatamarkets import Retailer
from godatamarkets.catalogue import EMBEDDED_END, START
from godatamarkets.replay import detection
from salescast import quality
from salescast.contract import schema
from salescast.contract.conform import conform
from salescast.contract.schema import close_of
from salescast.evaluation import backtest
from salescast.features import point_in_time
from salescast.models import forecaster, make
from salescast.monitoring import alarms, live_scores, shift_tests
from salescast.monitoring.alarms import Limits
from salescast.ordering.orders import unit_costs
from salescast.settings import read_settings
from salescast.stages.configured import recipe
from salescast.stages.live_monitoring import WATCHED_DAYS

SIZE = os.environ.get("SIZE", "demo")  # of the worlds whose behaviour is watched
SEEDS = range(401, 401 + int(os.environ.get("SEEDS", "20")))
QUARTERS, QUARTER = 4, 91
BEHAVIOUR = ("competitor", "sensitivity_shift", "forecast_upgrade")
PATIENCE = {"matured": 14, "data": 1}
LOOKED = 30  # days after a fault of the data that deliveries are judged
DAY = pd.Timedelta(days=1)


def limits() -> Limits:
    """Return the limits of the checkout's configuration."""
    names = {field.name for field in fields(Limits)}
    return Limits(**read_settings(CONFIG).monitoring.model_dump(include=names))


def delivered(seed: int, faults: Sequence[str], until: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """Return what a retailer delivered up to `until`."""
    rows = Retailer(SIZE, seed, faults).deliver(START, until)
    return {name: conform(name, table) for name, table in rows.items()}


def fitted(tables: schema.Tables, cutoff: pd.Timestamp) -> forecaster.Forecaster:
    """Return the model as trained at `cutoff`, on fewer origins than in earnest."""
    settings = read_settings(CONFIG)
    how = recipe(settings, tables)
    known = [cutoff - n * 15 * DAY for n in range(1, 60)]
    rows = point_in_time.build(tables, known)
    return make(how.kind, how.params, how.seed).fit(rows, point_in_time.past(tables, cutoff))


def asked(
    tables: schema.Tables, made: forecaster.Forecaster, cutoff: pd.Timestamp, days: int
) -> Iterator[tuple[pd.Timestamp, list[alarms.Alarm]]]:
    """Yield each day after `cutoff` with the alarms of behaviour on it; at most `days` days."""
    settings, bars = read_settings(CONFIG), limits()
    how = recipe(settings, tables)
    end = cutoff + days * DAY
    happened = point_in_time.past(tables, end)
    happened = happened[happened["date"] > cutoff]
    evidence = made.shift_evidence(happened, (bars.shift, -bars.shift))
    rows = point_in_time.build(tables, pd.date_range(cutoff, end - DAY), horizon=1)
    served = backtest.served_by(made, rows, how, "live")
    truth = made.uncensor(happened)
    costs = unit_costs(schema.latest("items", tables["items"]))
    scored = backtest.outcomes(served, truth, costs)
    scored = scored.merge(truth[["store_id", "item_id", "date", "units"]])
    levels = [forecaster.quantile_column(q) for q in how.quantiles]
    uncertainty = live_scores.issue_uncertainty(tables["weather_forecast"])
    for day in pd.date_range(cutoff + DAY, end):
        so_far = {shift: part[part["date"] <= day] for shift, part in evidence.items()}
        found = shift_tests.demand_shift(so_far, bars)
        found += shift_tests.forecast_alarms(scored[scored["date"] <= day], levels, 0.88, bars)
        skill = uncertainty[uncertainty.index <= day]
        found += alarms.issue_skill(skill, day - (WATCHED_DAYS - 1) * DAY)
        yield day, found


def calm_pages(seed: int) -> dict[str, int]:
    """Return how often each alarm rises in a calm year, a model a quarter."""
    end = EMBEDDED_END + QUARTERS * QUARTER * DAY
    tables = delivered(seed, (), end)
    raised: dict[str, int] = {}
    for quarter in range(QUARTERS):
        cutoff = EMBEDDED_END + quarter * QUARTER * DAY
        known = schema.as_of(tables, cutoff)
        names = {
            each["name"]
            for _, found in asked(tables, fitted(known, cutoff), cutoff, QUARTER)
            for each in found
        }
        for name in names:
            raised[name] = raised.get(name, 0) + 1
    return raised


def behaviour_delay(seed: int, fault: str) -> float:
    """Return after how many days a change of demand is detected; infinite beyond a quarter."""
    start = EMBEDDED_END + (15 + seed % 30) * DAY
    tables = delivered(seed, [f"{fault}@{start:%Y-%m-%d}"], EMBEDDED_END + QUARTER * DAY)
    made = fitted(schema.as_of(tables, EMBEDDED_END), EMBEDDED_END)
    expected = detection.EXPECTED[fault]
    for day, found in asked(tables, made, EMBEDDED_END, QUARTER):
        if day >= start and any(each["name"] in expected for each in found):
            return float((day - start).days + 1)
    return float("inf")


def data_delay(seed: int, fault: str) -> float:
    """Return the number of faulty deliveries until the fault is detected, within a month.

    Counted from the first delivery that differs from a sound one: a gauge that is stuck in a dry
    week, or a rare wrong row, cannot be seen before. NaN where none differs.
    """
    start = EMBEDDED_END + (15 + seed % 30) * DAY
    shop, sound = (Retailer("small", seed, each) for each in ([f"{fault}@{start:%Y-%m-%d}"], []))
    rows = shop.deliver(START, start - DAY)
    stored = {name: conform(name, table) for name, table in rows.items()}
    waited = 0
    for day in pd.date_range(start, periods=LOOKED):
        faulty, sound_rows = shop.deliver(day), sound.deliver(day)
        waited += waited > 0 or any(not faulty[n].equals(sound_rows[n]) for n in sound_rows)
        fresh = {n: conform(n, t) for n, t in faulty.items()}
        verdict = quality.check_delivery(fresh, stored, close_of(day))
        raised = [*alarms.of_delivery(verdict.as_dict())]
        raised += alarms.newcomers(schema.latest("stores", stored["stores"]), day)
        if any(each["name"] in detection.EXPECTED[fault] for each in raised):
            return float(waited)
        stored = {n: pd.concat([t, verdict.accepted[n]]) for n, t in stored.items()}
    return float("inf") if waited else float("nan")


def of_delays(delays: Mapping[str, Sequence[float]], limit: int, what: str) -> Iterator[Figure]:
    """Yield for each fault the share detected in time and the median delay."""
    for fault, each in delays.items():
        seen = np.array([days for days in each if not np.isnan(days)])
        share = float((seen <= limit).mean())
        yield Figure(f"{fault}: detected within {limit} {what}", share, "share", "≥ 0.9")
        yield Figure(f"{fault}: median delay", float(min(np.median(seen), 999)), "days")


def figures() -> Iterator[Figure]:
    """Measure calm years, changes of behaviour and faults of the data."""
    years = []
    for seed in SEEDS:
        years.append(calm_pages(seed))
        print(f"calm, seed {seed}: {years[-1]}", file=sys.stderr, flush=True)
    for name in ("demand_shift", "forecast_bias", "coverage_off", "issue_skill"):
        rate = sum(year.get(name, 0) for year in years) / len(years) * 10
        bar = "≤ 1" if alarms.SEVERITY[name] == "page" else ""
        yield Figure(f"calm: {name} in 10 model-years", rate, "alarms", bar)
    behaviour = {fault: [behaviour_delay(s, fault) for s in SEEDS] for fault in BEHAVIOUR}
    yield from of_delays(behaviour, PATIENCE["matured"], "matured days")
    others = [fault for fault in detection.EXPECTED if fault not in BEHAVIOUR]
    few = SEEDS[: max(len(SEEDS) // 4, 1)]
    data = {fault: [data_delay(s, fault) for s in few] for fault in others}
    yield from of_delays(data, PATIENCE["data"], "day")


if __name__ == "__main__":
    sys.exit(0 if publish("alarms", figures()) else 1)
