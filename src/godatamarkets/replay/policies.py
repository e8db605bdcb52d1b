"""Ways of ordering on the same demand: what each orders, and what its orders cost."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from salescast.ordering.inventory import Policy, Shelves, cycle_costs, simulate
from salescast.ordering.orders import Cycle, Values, planner

PRODUCT, PLANNER, FROZEN, ORACLE = "salescast", "planner", "frozen", "oracle"
TITLES = {
    PRODUCT: "this product",
    PLANNER: "status-quo planner",
    FROZEN: "never trained again",
    ORACLE: "best possible",
}


@dataclass(frozen=True)
class Market:
    """What every policy meets: series with their costs, true demand, the initial stock.

    `demand`: (series, days), NaN on closed days; the first `before` days end with the first review
    and are the history that the planner reads.
    """

    series: pd.DataFrame
    demand: Values
    before: int
    on_hand: Values
    cycle: Cycle

    @property
    def demand_after(self) -> Values:
        """Return demand from the day after the first review on, 0 on closed days."""
        return np.asarray(np.nan_to_num(self.demand[:, self.before :]))

    def simulate(self, policy: Policy) -> Shelves:
        """Return stock and sales under a policy."""
        return simulate(self.demand_after, self.on_hand, self.cycle, policy)


def recorded_orders(orders: Sequence[Values]) -> Policy:
    """Return the policy that orders what was ordered, review by review."""
    return lambda review, _: orders[review]


def planner_orders(market: Market) -> Policy:
    """Return the status-quo planner, who also counts lost sales."""
    pack = market.series["pack_size"].to_numpy(np.int64)

    def order(review: int, stock: Values) -> Values:
        until = market.before + review * market.cycle.review_days
        return planner(market.demand[:, :until], stock, pack).astype(float)

    return order


def sampled_orders(
    market: Market, samples: Iterator[Values], propose: Callable[..., Any]
) -> Policy:
    """Return the policy that orders by sample paths; `samples` yields those of each review."""

    def order(_review: int, stock: Values) -> Values:
        series = market.series.assign(on_hand=stock, on_order=0.0)
        proposal = propose(next(samples), series, market.cycle)
        units: Values = proposal.orders["order"].to_numpy(float)
        return units

    return order


def policy_costs(market: Market, shelves: Mapping[str, Shelves]) -> dict[str, dict[str, Any]]:
    """Return per policy the cost of each order's cycle, their sum, and the fill rate."""
    underage, overage = (market.series[c].to_numpy(float) for c in ("underage", "overage"))
    total = max(float(market.demand_after.sum()), 1.0)
    costs = {}
    for name, simulated in shelves.items():
        cycles = cycle_costs(simulated, underage, overage, market.cycle)
        costs[name] = {
            "cycles": [float(cost) for cost in cycles],
            "cost": float(cycles.sum()),
            "fill_rate": float(simulated.sold.sum()) / total,
        }
    return costs


def recovered(costs: Mapping[str, Mapping[str, Any]]) -> float | None:
    """Return the product's saving against the planner as a share of the oracle's."""
    possible = costs[PLANNER]["cost"] - costs[ORACLE]["cost"]
    return (costs[PLANNER]["cost"] - costs[PRODUCT]["cost"]) / possible if possible > 0 else None
