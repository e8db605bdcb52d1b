"""What a replay asks of the core: which faults, what each way of ordering cost, what was found."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from salescast.ordering.inventory import Policy, Shelves, cycle_costs, simulate
from salescast.ordering.orders import Cycle, Values, planner

CALM, YEAR = "calm", "year"
MIX: Sequence[tuple[float, str]] = (
    (0.10, "truncated_file"),
    (0.20, "new_store"),
    (0.30, "competitor"),
    (0.46, "feed_outage"),
    (0.54, "gauge_stuck"),
    (0.64, "sensitivity_shift"),
    (0.80, "currency_unit"),
    (0.90, "late_sales"),
)
"""The scenario `year`: what goes wrong, and after which share of the days."""

EXPECTED: Mapping[str, Sequence[str]] = {
    "new_store": ("new_series",),
    "sensitivity_shift": ("demand_shift", "forecast_bias"),
    "competitor": ("demand_shift", "forecast_bias"),
    "forecast_upgrade": ("issue_skill",),
    "feed_outage": ("issues_missing", "data_stale"),
    "gauge_stuck": ("gauge_suspect",),
    "gauge_unit": ("gauge_suspect",),
    "currency_unit": ("delivery_refused", "rows_quarantined"),
    "late_sales": ("sales_late",),
    "duplicate_rows": ("rows_repeated",),
    "timezone_shift": ("delivery_refused", "rows_quarantined", "sales_late"),
    "weekday_label_shift": ("delivery_refused", "rows_quarantined"),
    "item_case_split": ("delivery_refused", "rows_quarantined"),
    "truncated_file": ("delivery_refused",),
    "negative_units": ("delivery_refused", "rows_quarantined"),
}
"""What can go wrong in the simulated world, and the alarms of which one must tell it."""

OURS, PLANNER, FROZEN, ORACLE = "ours", "planner", "frozen", "oracle"
DAY = pd.Timedelta(days=1)


def faults_of(scenarios: Sequence[str], start: pd.Timestamp, days: int) -> tuple[str, ...]:
    """Return the faults of the scenarios as the simulated retailer writes them.

    A bare name begins after a third of the days; `name@2025-03-01:days=3` says it all itself.
    """
    found: list[str] = []
    for name in scenarios:
        if name == YEAR:
            found += [f"{part}@{start + int(share * days) * DAY:%Y-%m-%d}" for share, part in MIX]
        elif name != CALM:
            found.append(name if "@" in name else f"{name}@{start + days // 3 * DAY:%Y-%m-%d}")
    return tuple(found)


@dataclass(frozen=True)
class Ground:
    """What every way of ordering meets: series with their costs, true demand, the first stock.

    `wanted`: (series, days), NaN on closed days; the first `before` of them lie up to the first
    review's, for the planner to look back on.
    """

    series: pd.DataFrame
    wanted: Values
    before: int
    on_hand: Values
    cycle: Cycle

    @property
    def demand(self) -> Values:
        """Return demand from the day after the first review on, 0 on closed days."""
        return np.asarray(np.nan_to_num(self.wanted[:, self.before :]))

    def shelves(self, policy: Policy) -> Shelves:
        """Return what happens on the shelves of one who orders by `policy`."""
        return simulate(self.demand, self.on_hand, self.cycle, policy)


def as_recorded(orders: Sequence[Values]) -> Policy:
    """Return the policy that orders what was ordered, review by review."""
    return lambda review, _: orders[review]


def as_planned(ground: Ground) -> Policy:
    """Return the status-quo planner, who counts customers sent away."""
    pack = ground.series["pack_size"].to_numpy(np.int64)

    def order(review: int, stock: Values) -> Values:
        upto = ground.before + review * ground.cycle.review_days
        return planner(ground.wanted[:, :upto], stock, pack).astype(float)

    return order


def by_paths(ground: Ground, drawn: Iterator[Values], propose: Callable[..., Any]) -> Policy:
    """Return the policy of one whose sample paths are `drawn`, review by review."""

    def order(_review: int, stock: Values) -> Values:
        here = ground.series.assign(on_hand=stock, on_order=0.0)
        units: Values = propose(next(drawn), here, ground.cycle).orders["order"].to_numpy(float)
        return units

    return order


def accounts(ground: Ground, shelves: Mapping[str, Shelves]) -> dict[str, dict[str, Any]]:
    """Return per policy the money lost in each order's cycle, its sum, and the share served."""
    paid = [ground.series[c].to_numpy(float) for c in ("underage", "overage")]
    total = max(float(ground.demand.sum()), 1.0)
    found = {}
    for name, of in shelves.items():
        each = cycle_costs(of, paid[0], paid[1], ground.cycle)
        found[name] = {
            "cycles": [float(cost) for cost in each],
            "cost": float(each.sum()),
            "fill_rate": float(of.sold.sum()) / total,
        }
    return found


def recovered(costs: Mapping[str, Mapping[str, Any]]) -> float | None:
    """Return which share of what the oracle saves against the planner ours saves."""
    possible = costs[PLANNER]["cost"] - costs[ORACLE]["cost"]
    return (costs[PLANNER]["cost"] - costs[OURS]["cost"]) / possible if possible > 0 else None


def detections(
    faults: Sequence[Mapping[str, Any]], alarms: Sequence[Mapping[str, Any]], patience: int = 60
) -> list[dict[str, Any]]:
    """Return for each fault the first alarm of its names since it began, and the days until then.

    `faults`: name, start, and `expected`, the names of alarms that tell it; `alarms`: day, name,
    oldest first. An alarm later than `patience` days tells of something else.
    """
    found = []
    for fault in faults:
        start = pd.Timestamp(fault["start"])
        for alarm in alarms:
            waited = (pd.Timestamp(alarm["day"]) - start).days
            if 0 <= waited <= patience and alarm["name"] in fault["expected"]:
                found.append({**fault, "alarm": alarm["name"], "day": alarm["day"], "days": waited})
                break
        else:
            found.append({**fault, "alarm": None, "day": None, "days": None})
    return found


def false_alarms(
    faults: Sequence[Mapping[str, Any]], alarms: Sequence[Mapping[str, Any]], patience: int = 60
) -> list[Mapping[str, Any]]:
    """Return the pages that nothing explains: no fault within `patience` days before."""
    spans = [(pd.Timestamp(f["start"]), pd.Timestamp(f["end"]) + patience * DAY) for f in faults]
    return [
        alarm
        for alarm in alarms
        if alarm["severity"] == "page"
        and not any(a <= pd.Timestamp(alarm["day"]) <= b for a, b in spans)
    ]
