"""The result of a replay: costs of each way of ordering, alarms, trainings, detections."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from godatamarkets.replay import policies
from godatamarkets.replay.detection import EXPECTED, detections, false_alarms
from godatamarkets.replay.policies import FROZEN, ORACLE, PLANNER, PRODUCT, TITLES, Market
from godatamarkets.replay.replay_page import replay_page
from godatamarkets.replay.replay_state import Replay
from salescast.contract import schema
from salescast.data import store
from salescast.data.files import plain, replace_text, write_json
from salescast.errors import NoChampionError
from salescast.features import point_in_time as feature
from salescast.ledger.ledger import Ledger
from salescast.ordering import orders, sample_paths
from salescast.ordering.inventory import Policy, ratio
from salescast.ordering.orders import Values, unit_costs
from salescast.ordering.replenishment import SERIES, draw
from salescast.ordering.sample_paths import Dependence
from salescast.release import Release, Releases
from salescast.settings import Settings
from salescast.stages.configured import order_cycle

DAY = pd.Timedelta(days=1)
LOOK_BACK = 28  # days before the first review that the status-quo planner knows


def summarize(replay: Replay) -> dict[str, Any]:
    """Return and write the result of the replayed days: costs, alarms, trainings, detections.

    Raises NotEnoughHistoryError where fewer than two orders' cycles were replayed.
    """
    tables = store.read_all(replay.settings.data)
    reviews = _reviews(replay)
    market = _market(replay, tables, reviews)
    ways = _policies(replay, tables, market, reviews)
    shelves = {name: market.simulate(policy) for name, policy in ways.items()}
    costs = policies.policy_costs(market, shelves)
    result: dict[str, Any] = plain(_costs_and_ratios(replay, costs) | _events(replay))
    result["reviews"] = [f"{day:%Y-%m-%d}" for day in reviews]
    write_json(replay.settings.build / "replay.json", result)
    page = replace_text(replay.settings.build / "replay.html", replay_page(result))
    return result | {"report": str(page), "summary": describe(result)}


def _costs_and_ratios(replay: Replay, costs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    cycles = {name: np.array(cost["cycles"]) for name, cost in costs.items()}
    return {
        "currency": replay.settings.product.currency,
        "costs": costs,
        "against": {
            name: ratio(cycles[PRODUCT], cycles[name], seed=replay.plan.seed)
            for name in costs
            if name != PRODUCT
        },
        "recovered": policies.recovered(costs),
    }


def _events(replay: Replay) -> dict[str, Any]:
    faults = [_fault(fault, replay) for fault in replay.plan.faults]
    alarms = [{"day": e["day"], **alarm} for e in replay.journal for alarm in e["alarms"]]
    return {
        "plan": {**vars(replay.plan), "faults": list(replay.plan.faults)},
        "alarms": alarms,
        "trained": [{"day": e["day"], **e["trained"]} for e in replay.journal if e["trained"]],
        "refused_days": sum(e["delivery"] == "rejected" for e in replay.journal),
        "degraded_days": sum(e["degraded"] > 0 for e in replay.journal),
        "detections": detections(faults, alarms),
        "false_pages": false_alarms(faults, alarms),
    }


def describe(result: dict[str, Any]) -> str:
    """Return the result as a screenful of text."""
    currency, costs = result["currency"], result["costs"]
    lines = [f"{result['plan']['days']} days, {len(costs[PRODUCT]['cycles'])} order cycles"]
    for name, title in TITLES.items():
        cost, served = costs[name]["cost"], costs[name]["fill_rate"]
        lines.append(f"  {title:24}{cost:>12,.0f} {currency}   {served:.1%} served")
    if result["recovered"] is not None:
        lines.append(f"  recovered {result['recovered']:.0%} of the best possible saving")
    promoted = sum(not training["refused"] for training in result["trained"])
    pages = sum(alarm["severity"] == "page" for alarm in result["alarms"])
    lines.append(
        f"trainings: {len(result['trained'])}, promoted: {promoted}; alarms: "
        f"{len(result['alarms'])}, pages: {pages}, false pages: {len(result['false_pages'])}"
    )
    for fault in result["detections"]:
        alarm = f"{fault['alarm']} after {fault['days']} days" if fault["alarm"] else "not detected"
        lines.append(f"  {fault['name']} on {fault['start']}: {alarm}")
    return "\n".join(lines)


def _fault(text: str, replay: Replay) -> dict[str, Any]:
    name, start, days = replay.shop.fault(text)
    last = pd.Timestamp(replay.plan.start) + replay.plan.days * DAY
    end = start + days * DAY if days else last
    return {
        "name": name,
        "start": f"{start:%Y-%m-%d}",
        "end": f"{min(end, last):%Y-%m-%d}",
        "expected": list(EXPECTED[name]),
    }


def _reviews(replay: Replay) -> list[pd.Timestamp]:
    """Return the days on which orders were due."""
    costs = replay.settings.costs
    days = [pd.Timestamp(entry["day"]) for entry in replay.journal]
    return [day for day in days if orders.due(day, costs.review_weekday, costs.review_days)]


def _market(replay: Replay, tables: schema.Tables, reviews: list[pd.Timestamp]) -> Market:
    costs = unit_costs(schema.latest("items", tables["items"]))
    series = replay.shop.series.merge(costs, on="item_id", how="left")
    last = pd.Timestamp(replay.journal[-1]["day"])
    demand = replay.shop.true_demand(reviews[0] - (LOOK_BACK - 1) * DAY, last)
    on_hand = replay.shop.on_hand(reviews[0])
    return Market(series, demand, LOOK_BACK, on_hand, order_cycle(replay.settings))


def _policies(
    replay: Replay, tables: schema.Tables, market: Market, reviews: list[pd.Timestamp]
) -> dict[str, Policy]:
    journal = {entry["day"]: entry["orders"] for entry in replay.journal}
    ordered = [_units(market.series, journal[f"{day:%Y-%m-%d}"]) for day in reviews]
    days = market.cycle.interval
    best = (replay.shop.paths(day, sample_paths.PATHS, days) for day in reviews)
    frozen = _first_champion_paths(replay.settings, tables, market, reviews)
    return {
        PRODUCT: policies.recorded_orders(ordered),
        PLANNER: policies.planner_orders(market),
        FROZEN: policies.sampled_orders(market, frozen, orders.propose),
        ORACLE: policies.sampled_orders(market, best, orders.propose),
    }


def _units(series: pd.DataFrame, ordered: list[list[Any]]) -> Values:
    rows = pd.DataFrame(ordered, columns=[*SERIES, "units"])
    units = series[SERIES].merge(rows, on=SERIES, how="left")["units"]
    return np.asarray(units.fillna(0).to_numpy(float))


def _first_champion_paths(
    settings: Settings, tables: schema.Tables, market: Market, reviews: list[pd.Timestamp]
) -> Iterator[Values]:
    """Yield the sample paths of the first champion, never trained again, at each review."""
    with Ledger(settings.ledger_url) as ledger:
        promoted = ledger.promotions()
    if promoted.empty:
        raise NoChampionError("the gate promoted nothing on these days; see `trained` of a day")
    first = promoted.iloc[0]
    release = Release(int(first["sequence"]), first["model_version"], first["digest"])
    bundle = Releases(settings.releases, settings.model.trusted_types).read(release)
    contract, dependence = bundle.contract, Dependence(**bundle.dependence)
    for day in reviews:
        rows = feature.build(tables, [day], contract["horizon"], contract["weather"])
        yield draw(bundle.model, dependence, rows, market.series, market.cycle)
