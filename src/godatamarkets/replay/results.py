"""What a replay came to: the money first, then what alarmed, trained and was found when."""

from typing import Any

import numpy as np
import pandas as pd

from godatamarkets.replay import accounts
from godatamarkets.replay.page import replay_page
from godatamarkets.replay.world import World
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
TITLES = {
    accounts.PLANNER: "status-quo planner",
    accounts.FROZEN: "never trained again",
    accounts.OURS: "ours",
    accounts.ORACLE: "best possible",
}
LOOK_BACK = 28  # days before the first review that the status-quo planner knows


def account(world: World) -> dict[str, Any]:
    """Return and write what the replayed days came to: money, alarms, trainings, detections.

    Raises NotEnoughHistoryError where fewer than two orders' cycles were replayed.
    """
    tables = store.read_all(world.settings.data)
    reviews = _reviews(world)
    ground = _ground(world, tables, reviews)
    policies = _policies(world, tables, ground, reviews)
    shelves = {name: ground.shelves(policy) for name, policy in policies.items()}
    costs = accounts.accounts(ground, shelves)
    faults = [_as_told(fault, world) for fault in world.plan.faults]
    raised = [{"day": e["day"], **alarm} for e in world.journal for alarm in e["alarms"]]
    against = {
        name: ratio(
            np.array(costs[accounts.OURS]["cycles"]),
            np.array(costs[name]["cycles"]),
            seed=world.plan.seed,
        )
        for name in policies
        if name != accounts.OURS
    }
    told = {
        "plan": {**vars(world.plan), "faults": list(world.plan.faults)},
        "reviews": [f"{day:%Y-%m-%d}" for day in reviews],
        "currency": world.settings.product.currency,
        "costs": costs,
        "against": against,
        "recovered": accounts.recovered(costs),
        "alarms": raised,
        "trained": [{"day": e["day"], **e["trained"]} for e in world.journal if e["trained"]],
        "refused_days": sum(e["delivery"] == "rejected" for e in world.journal),
        "degraded_days": sum(e["degraded"] > 0 for e in world.journal),
        "detections": accounts.detections(faults, raised),
        "false_pages": accounts.false_alarms(faults, raised),
    }
    written: dict[str, Any] = plain(told)
    write_json(world.settings.build / "replay.json", written)
    page = replace_text(world.settings.build / "replay.html", replay_page(written))
    return written | {"report": str(page)} | {"summary": describe(told)}


def describe(told: dict[str, Any]) -> str:
    """Return the replay in a screenful of text."""
    currency, costs = told["currency"], told["costs"]
    weeks = len(costs[accounts.OURS]["cycles"])
    lines = [f"{told['plan']['days']} days, {weeks} orders' cycles on the same demand"]
    for name, title in TITLES.items():
        of = costs[name]
        lines.append(f"  {title:24}{of['cost']:>12,.0f} {currency}   {of['fill_rate']:.1%} served")
    if told["recovered"] is not None:
        lines.append(f"  recovered {told['recovered']:.0%} of what the best possible would save")
    promoted = sum(not t["refused"] for t in told["trained"])
    pages = sum(alarm["severity"] == "page" for alarm in told["alarms"])
    lines.append(
        f"{len(told['trained'])} trainings, {promoted} promoted; {len(told['alarms'])} alarms, "
        f"{pages} pages, {len(told['false_pages'])} of them false"
    )
    for fault in told["detections"]:
        found = f"{fault['alarm']} after {fault['days']} days" if fault["alarm"] else "not found"
        lines.append(f"  {fault['name']} on {fault['start']}: {found}")
    return "\n".join(lines)


def _as_told(text: str, world: World) -> dict[str, Any]:
    name, start, days = world.shop.fault(text)
    last = pd.Timestamp(world.plan.start) + world.plan.days * DAY
    end = start + days * DAY if days else last
    return {
        "name": name,
        "start": f"{start:%Y-%m-%d}",
        "end": f"{min(end, last):%Y-%m-%d}",
        "expected": list(accounts.EXPECTED[name]),
    }


def _reviews(world: World) -> list[pd.Timestamp]:
    """Return the days whose orders are compared: from the first review whose cycle is over."""
    costs = world.settings.costs
    days = [pd.Timestamp(entry["day"]) for entry in world.journal]
    return [day for day in days if orders.due(day, costs.review_weekday, costs.review_days)]


def _ground(world: World, tables: schema.Tables, reviews: list[pd.Timestamp]) -> accounts.Ground:
    costs = unit_costs(schema.latest("items", tables["items"]))
    series = world.shop.series.merge(costs, on="item_id", how="left")
    last = pd.Timestamp(world.journal[-1]["day"])
    wanted = world.shop.wanted(reviews[0] - (LOOK_BACK - 1) * DAY, last)
    return accounts.Ground(
        series, wanted, LOOK_BACK, world.shop.on_hand(reviews[0]), order_cycle(world.settings)
    )


def _policies(
    world: World, tables: schema.Tables, ground: accounts.Ground, reviews: list[pd.Timestamp]
) -> dict[str, Policy]:
    journal = {entry["day"]: entry["orders"] for entry in world.journal}
    ordered = [_units(ground.series, journal[f"{day:%Y-%m-%d}"]) for day in reviews]
    days = ground.cycle.interval
    best = (world.shop.paths(day, sample_paths.PATHS, days) for day in reviews)
    frozen = _frozen(world.settings, tables, ground, reviews)
    return {
        accounts.OURS: accounts.as_recorded(ordered),
        accounts.PLANNER: accounts.as_planned(ground),
        accounts.FROZEN: accounts.by_paths(ground, frozen, orders.propose),
        accounts.ORACLE: accounts.by_paths(ground, best, orders.propose),
    }


def _units(series: pd.DataFrame, ordered: list[list[Any]]) -> Values:
    rows = pd.DataFrame(ordered, columns=[*SERIES, "units"])
    units = series[SERIES].merge(rows, on=SERIES, how="left")["units"]
    return np.asarray(units.fillna(0).to_numpy(float))


def _frozen(
    settings: Settings, tables: schema.Tables, ground: accounts.Ground, reviews: list[pd.Timestamp]
) -> Any:
    """Yield the sample paths of the first champion, never trained again, at each review."""
    with Ledger(settings.ledger_url) as ledger:
        promoted = ledger.promotions()
    if promoted.empty:
        raise NoChampionError("the gate promoted nothing on these days; see `trained` of a day")
    first = promoted.iloc[0]
    release = Release(int(first["sequence"]), first["model_version"], first["digest"])
    bundle = Releases(settings.releases, settings.model.trusted_types).read(release)
    contract, told = bundle.contract, Dependence(**bundle.dependence)
    for day in reviews:
        rows = feature.build(tables, [day], contract["horizon"], contract["weather"])
        yield draw(bundle.model, told, rows, ground.series, ground.cycle)
