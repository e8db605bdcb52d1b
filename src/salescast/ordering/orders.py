"""Order quantities that cost least over the cycle that one order decides.

An order placed at the close of its origin arrives before opening `delivery_days` later; the next
order arrives `review_days` after it. The days between are the order's cycle; the days from the
origin to the end of the cycle are its protection interval. The j-th unit is sold by day t if net
demand has reached j by then. It saves `underage` if it is sold within the cycle, and costs
`overage` at each close before:

    saving(j) = underage · P(need_T ≥ j) − overage · Σ_t P(need_t < j)    t = 1 … T

with need_t = (demand from delivery to day t − stock left at delivery)⁺ and T = review_days. Units
left over cost nothing after the cycle: each replaces a unit of the next order at the same price
(the myopic policy, Veinott 1965; optimal while the next order-up-to level can be reached).
saving(j) falls in j, so the order ends before the first pack that saves nothing. For one day
and no delivery it is the newsvendor's critical ratio, underage ÷ (underage + overage)
(Arrow, Harris & Marschak 1951).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.contract import schema
from salescast.errors import ConfigError, DataQualityError

Values = NDArray[np.float64]
Ints = NDArray[np.int64]

PLANNER_DAYS = 28  # the status-quo planner averages demand over these days
PLANNER_COVER = 9 * 1.25  # and orders up to this many days of mean demand


def item_costs(tables: schema.Tables) -> pd.DataFrame:
    """Return `unit_costs` of the newest row of every item."""
    return unit_costs(schema.latest("items", tables["items"]))


def unit_costs(items: pd.DataFrame) -> pd.DataFrame:
    """Return the cost of one unit too few or too many per item, and the critical ratio.

    Columns: item_id, underage (margin + goodwill), overage (holding, one day), critical_ratio,
    unit_cost and pack_size.
    Raises DataQualityError where an item cannot be priced (no margin, free holding).
    """
    underage = items["unit_price"] - items["unit_cost"] + items["goodwill_cost"]
    overage = items["holding_cost_per_day"]
    bad = items.loc[~((underage > 0) & (overage > 0)), "item_id"]
    if len(bad):
        raise DataQualityError(
            f"table items: {', '.join(bad)}: price − cost + goodwill and holding cost must be "
            "positive, or no order is worth placing; correct the costs"
        )
    return pd.DataFrame(
        {
            "item_id": items["item_id"],
            "underage": underage,
            "overage": overage,
            "critical_ratio": underage / (underage + overage),
            "unit_cost": items["unit_cost"],
            "pack_size": items["pack_size"],
        }
    )


def newsvendor_cost(demand: Values, stock: Values, underage: Values, overage: Values) -> Values:
    """Return the money lost per row by stocking `stock` (units) for one day of `demand`."""
    short = np.maximum(demand - stock, 0.0)
    left = np.maximum(stock - demand, 0.0)
    result: Values = underage * short + overage * left
    return result


@dataclass(frozen=True)
class Cycle:
    """Review period and delivery time in days, and when holding is charged.

    `held`: "every_close" charges each unit in stock at each close; "cycle_end" charges only the
    units left when the next delivery arrives.
    """

    review_days: int
    delivery_days: int
    held: Literal["every_close", "cycle_end"] = "every_close"

    @property
    def interval(self) -> int:
        """Return the protection interval, in days from the origin until the next delivery."""
        return self.review_days + self.delivery_days - 1

    @property
    def charged(self) -> slice:
        """Return the days of a cycle that are charged for holding."""
        return slice(None) if self.held == "every_close" else slice(-1, None)


def due(origin: pd.Timestamp, review_weekday: int, review_days: int) -> bool:
    """Return whether orders are placed at the close of `origin`.

    Every `review_days`, counted from the first `review_weekday` (Monday is 0) after 4 Jan 1970.
    """
    monday = pd.Timestamp("1970-01-05")
    return bool(((origin - monday).days - review_weekday) % review_days == 0)


@dataclass(frozen=True)
class Limit:
    """A shared resource: all orders together may use `total`; one unit uses `per_unit` (series,).

    `per_unit` is the unit's cost for a budget, its volume for a lorry, 1 for a shelf.
    """

    total: float
    per_unit: Values


@dataclass(frozen=True)
class Proposal:
    """Orders, and the saving from one more unit of the shared resource (0 where it is not scarce).

    `orders`: store_id, item_id, `order` and `target` (order-up-to level) in units, `spend`; and of
    the cycle `expected_demand`, `expected_lost`, `expected_cost` (lost margin + goodwill + holding)
    and `fill_rate`.
    """

    orders: pd.DataFrame
    shadow_price: float


def propose(
    paths: Values, position: pd.DataFrame, cycle: Cycle, limit: Limit | None = None
) -> Proposal:
    """Return the orders in whole packs that cost least over the cycle they decide.

    `paths`: sample paths of demand (series, paths, leads); `position`: one row a series with
    store_id, item_id, on_hand, on_order (assumed to arrive before this order) and the columns of
    `unit_costs`. Raises ConfigError when the paths end before the protection interval.
    """
    if paths.shape[2] < cycle.interval:
        raise ConfigError(
            f"review_days {cycle.review_days} + delivery_days {cycle.delivery_days} − 1 is more "
            f"than the {paths.shape[2]} days forecast; raise forecast.horizon or order more often"
        )
    stock = position["on_hand"].to_numpy(float) + position["on_order"].to_numpy(float)
    costs = position[["underage", "overage"]].to_numpy(float)
    packs = position["pack_size"].to_numpy(np.int64)
    needs = net_demand(paths, stock, cycle)
    pack_savings = [
        savings(need, (cost[0], cost[1]), int(pack), cycle.charged)
        for need, cost, pack in zip(needs, costs, packs, strict=True)
    ]
    use = np.zeros(len(packs)) if limit is None else limit.per_unit * packs
    ordered, shadow_price = allocate(pack_savings, use, np.inf if limit is None else limit.total)
    order = ordered * packs
    days = slice(cycle.delivery_days - 1, cycle.interval)
    demand = paths[:, :, days].sum(axis=2).mean(axis=1)
    lost, cost = expected_cost(needs, order, costs, cycle)
    columns = {
        "order": order,
        "target": stock + order,
        "spend": order * position["unit_cost"].to_numpy(float),
        "expected_demand": demand,
        "expected_lost": lost,
        "expected_cost": cost,
        "fill_rate": 1.0 - lost / np.maximum(demand, 1e-9),
    }
    return Proposal(position[["store_id", "item_id"]].assign(**columns), shadow_price)


def net_demand(paths: Values, stock: Values, cycle: Cycle) -> Values:
    """Return demand beyond `stock` by the close of each day of the cycle, in units, for each path.

    Shape (series, paths, review_days); negative values are stock left without an order. `stock`
    also serves the days before delivery; unmet demand is lost, not backordered.
    """
    before = cycle.delivery_days - 1
    left = np.maximum(stock[:, None] - paths[:, :, :before].sum(axis=2), 0.0)
    result: Values = paths[:, :, before : cycle.interval].cumsum(axis=2) - left[:, :, None]
    return result


def expected_cost(needs: Values, order: Ints, costs: Values, cycle: Cycle) -> tuple[Values, Values]:
    """Return units lost and money (lost margin + goodwill + holding) per series over the cycle.

    `needs`: see `net_demand`; `costs`: (series, 2), underage and overage.
    """
    lost = np.maximum(needs[:, :, -1] - order[:, None], 0.0).mean(axis=1)
    left = np.maximum(order[:, None, None] - needs[:, :, cycle.charged], 0.0)
    held = left.sum(axis=2).mean(axis=1)
    return lost, costs[:, 0] * lost + costs[:, 1] * held


def savings(need: Values, costs: tuple[float, float], pack: int, charged: slice) -> Values:
    """Return the expected saving of the 1st, 2nd … pack, in money, not increasing.

    `need`: (paths, days) of one series, see `net_demand`; `costs`: (underage, overage);
    `charged`: the days charged for holding. There are as many packs as the path with most demand
    could sell.
    """
    units = np.maximum(need, 0.0).astype(np.int64)
    packs = -(-int(units.max()) // pack)
    days = units[:, charged]
    sold, sold_by_day = (_reached(n, packs * pack) / len(units) for n in (units[:, -1], days))
    saved = costs[0] * sold - costs[1] * (days.shape[1] - sold_by_day)
    # Rounding must not make a later pack look better by 1e-15.
    result: Values = np.minimum.accumulate(saved.reshape(packs, pack).sum(axis=1))
    return result


def _reached(need: Ints, units: int) -> Values:
    """Return how many values of `need` reach unit 1, 2 … `units`."""
    exactly = np.bincount(need.ravel(), minlength=units + 1)
    return exactly[::-1].cumsum()[::-1][1 : units + 1].astype(float)


def allocate(savings: Sequence[Values], use: Values, total: float) -> tuple[Ints, float]:
    """Return the number of packs per series, and the shadow price of the shared resource.

    `savings`: see `savings`, one array per series; `use`: how much of `total` a pack of each series
    uses. Packs are allocated by saving per use until the next does not fit: the Lagrangian optimum
    (Everett 1963). The multiplier is the saving per use of the first pack left out. One sort finds
    it exactly.
    """
    series = np.repeat(np.arange(len(savings)), [len(packs) for packs in savings])
    value = np.concatenate([*savings, np.zeros(0)])
    series, value = series[value > 0], value[value > 0]
    density = value / np.maximum(use[series], 1e-12)
    best = np.argsort(-density, kind="stable")
    spent = use[series[best]].cumsum()
    fits = int((spent <= total * (1 + 1e-12)).sum())
    price = float(density[best[fits]]) if fits < len(best) else 0.0
    return np.bincount(series[best[:fits]], minlength=len(savings)), price


def planner(history: Values, stock: Values, pack: Ints) -> Ints:
    """Return the status-quo planner's orders, in units: up to PLANNER_COVER days of mean demand.

    `history`: sales or demand (series, days), NaN on closed days; `stock`: on hand and on order.
    Orders are rounded up to whole packs.
    """
    recent = history[:, -PLANNER_DAYS:]
    days = np.maximum((~np.isnan(recent)).sum(axis=1), 1)
    target = np.ceil(PLANNER_COVER * np.nansum(recent, axis=1) / days)
    packs: Ints = np.ceil(np.maximum(target - stock, 0.0) / pack).astype(np.int64)
    return packs * pack
