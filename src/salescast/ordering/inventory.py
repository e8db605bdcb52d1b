"""Inventory simulated day by day under an ordering policy, and its cost a year.

Each policy meets the same demand and starts with the same stock. Unmet demand is lost. An order
placed at a close arrives before opening `delivery_days` later. Cost of a day = underage × units
lost + overage × units left at close.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from salescast.ordering.orders import Cycle, Values

Policy = Callable[[int, Values], Values]
"""(review number, stock on hand and on order per series) → units to order per series."""

DRAWS = 2000  # of the bootstrap
YEAR_DAYS = 365.25


@dataclass(frozen=True)
class Shelves:
    """Units per day after the first review; arrays of shape (series, days)."""

    sold: Values
    lost: Values
    left: Values
    ordered: Values


def simulate(demand: Values, on_hand: Values, cycle: Cycle, policy: Policy) -> Shelves:
    """Return the simulated days when `policy` orders every `review_days`, starting with `on_hand`.

    `demand`: (series, days), the first day being the one after the first review (review 0).
    Nothing is on order at the start. On real data demand is an estimate, because sales do not show
    demand beyond the stock.
    """
    series, days = demand.shape
    arriving = np.zeros((series, days))
    sold, left, ordered = (np.zeros((series, days)) for _ in range(3))
    stock = on_hand.astype(float)
    for day in range(days):
        delivery = day + cycle.delivery_days - 1
        if day % cycle.review_days == 0 and delivery < days:
            position = stock + arriving[:, day:].sum(axis=1)
            ordered[:, day] = policy(day // cycle.review_days, position)
            arriving[:, delivery] = ordered[:, day]
        stock = stock + arriving[:, day]
        sold[:, day] = np.minimum(stock, demand[:, day])
        stock = stock - sold[:, day]
        left[:, day] = stock
    return Shelves(sold, demand - sold, left, ordered)


def cycle_costs(shelves: Shelves, underage: Values, overage: Values, cycle: Cycle) -> Values:
    """Return the cost of each order's cycle, all series together, (reviews,).

    The days before the first delivery and those of an unfinished last cycle do not count.
    """
    first, days = cycle.delivery_days - 1, cycle.review_days
    last = first + (shelves.lost.shape[1] - first) // days * days
    lost, held = (
        (cost @ units[:, first:last]).reshape(-1, days)
        for cost, units in ((underage, shelves.lost), (overage, shelves.left))
    )
    result: Values = lost.sum(axis=1) + held[:, cycle.charged].sum(axis=1)
    return result


def per_year(costs: Values, cycle: Cycle, seed: int) -> dict[str, float]:
    """Return the cost a year of `cycle_costs`, with an 80 % interval.

    The interval is a bootstrap over reviews (Efron 1979).
    """
    scale = YEAR_DAYS / cycle.review_days
    drawn = costs[_draws(len(costs), seed)].mean(axis=1) * scale
    return {"cost_per_year": float(costs.mean() * scale)} | _interval(drawn)


def ratio(costs: Values, against: Values, seed: int) -> dict[str, float]:
    """Return cost ÷ cost of another policy with an 80 % interval; both draw the same reviews."""
    drawn = _draws(len(costs), seed)
    drawn_ratio = costs[drawn].sum(axis=1) / against[drawn].sum(axis=1)
    return {"ratio": float(costs.sum() / against.sum())} | _interval(drawn_ratio)


def _draws(reviews: int, seed: int) -> NDArray[np.int64]:
    raw = np.random.Philox(seed).random_raw(DRAWS * reviews).reshape(DRAWS, reviews)
    return (raw >> np.uint64(11)).astype(np.int64) % reviews


def _interval(values: Values) -> dict[str, float]:
    low, high = np.quantile(values, [0.1, 0.9])
    return {"low": float(low), "high": float(high)}
