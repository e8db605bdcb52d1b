"""What to order, and what it is worth: underage, overage and the interval one order decides.

An order placed at the close of its origin is there before opening `delivery_days` later, the next
one `review_days` after it. The days between are this order's cycle; the days until then, its
protection interval. The j-th unit that the cycle can still sell is sold by day t if demand has
reached it by then. It saves `underage` if the cycle comes to it, and costs `overage` at each close
before:

    saving(j) = underage · P(need_T ≥ j) − overage · Σ_t P(need_t < j)    t = 1 … T

with need_t = (demand from delivery to day t − stock left at delivery)⁺ and T = review_days. What
is left over costs nothing beyond its days: it takes the place of a unit of the next order, at the
same price (the myopic policy, Veinott 1965; optimal while the next order-up-to level is within
reach). saving(j) falls in j, so the first pack not worth its keep ends the order. For one day
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

PLANNER_DAYS = 28  # the status-quo planner looks back this far
PLANNER_COVER = 9 * 1.25  # … and orders up to so many days of mean demand


def item_costs(tables: schema.Tables) -> pd.DataFrame:
    """Return `unit_costs` of the newest row of every item."""
    return unit_costs(schema.latest("items", tables["items"]))


def unit_costs(items: pd.DataFrame) -> pd.DataFrame:
    """Return per item_id what one unit too few or too many costs, and the critical ratio.

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
    """How often orders are placed and how long they take, in days, and when holding is charged.

    `held`: at "every_close" for each unit there, or at "cycle_end" only, for each unit left when
    the next delivery comes: then stock that is still to sell within its cycle is free.
    """

    review_days: int
    delivery_days: int
    held: Literal["every_close", "cycle_end"] = "every_close"

    @property
    def interval(self) -> int:
        """Days that an order must protect: from its origin to the last before the next delivery."""
        return self.review_days + self.delivery_days - 1

    @property
    def charged(self) -> slice:
        """Which days of a cycle are charged for holding."""
        return slice(None) if self.held == "every_close" else slice(-1, None)


def due(origin: pd.Timestamp, review_weekday: int, review_days: int) -> bool:
    """Tell whether orders are placed at the close of `origin`.

    Every `review_days`, counted from the first `review_weekday` (Monday is 0) after 4 Jan 1970.
    """
    monday = pd.Timestamp("1970-01-05")
    return bool(((origin - monday).days - review_weekday) % review_days == 0)


@dataclass(frozen=True)
class Limit:
    """What all series share: at most `total`, of which a unit takes `per_unit` (one a series).

    A budget takes the unit's cost, a lorry its volume, a shelf 1.
    """

    total: float
    per_unit: Values


@dataclass(frozen=True)
class Proposal:
    """Orders, and what one more unit of the shared resource would save (0 where it is not scarce).

    `orders`: store_id, item_id, `order` and `target` (order-up-to level) in units, `spend`; and of
    the cycle `expected_demand`, `expected_lost`, `expected_cost` (lost margin + goodwill + holding)
    and `fill_rate`.
    """

    orders: pd.DataFrame
    shadow_price: float


def propose(
    paths: Values, position: pd.DataFrame, cycle: Cycle, limit: Limit | None = None
) -> Proposal:
    """Return the orders that cost least over the cycle they decide, packs whole.

    `paths`: sample paths of demand (series, paths, leads); `position`: one row a series with
    store_id, item_id, on_hand, on_order (taken to arrive before this order does) and the columns
    of `unit_costs`. Raises ConfigError when the paths end before the protection interval.
    """
    if paths.shape[2] < cycle.interval:
        raise ConfigError(
            f"review_days {cycle.review_days} + delivery_days {cycle.delivery_days} − 1 is more "
            f"than the {paths.shape[2]} days forecast; raise forecast.horizon or order more often"
        )
    stock = position["on_hand"].to_numpy(float) + position["on_order"].to_numpy(float)
    costs = position[["underage", "overage"]].to_numpy(float)
    packs = position["pack_size"].to_numpy(np.int64)
    needs = needed(paths, stock, cycle)
    each = zip(needs, costs, packs, strict=True)
    worth = [savings(n, (c[0], c[1]), int(p), cycle.charged) for n, c, p in each]
    use = np.zeros(len(packs)) if limit is None else limit.per_unit * packs
    taken, shadow_price = allocate(worth, use, np.inf if limit is None else limit.total)
    order = taken * packs
    days = slice(cycle.delivery_days - 1, cycle.interval)
    wanted = paths[:, :, days].sum(axis=2).mean(axis=1)
    lost, cost = expected(needs, order, costs, cycle)
    columns = {
        "order": order,
        "target": stock + order,
        "spend": order * position["unit_cost"].to_numpy(float),
        "expected_demand": wanted,
        "expected_lost": lost,
        "expected_cost": cost,
        "fill_rate": 1.0 - lost / np.maximum(wanted, 1e-9),
    }
    return Proposal(position[["store_id", "item_id"]].assign(**columns), shadow_price)


def needed(paths: Values, stock: Values, cycle: Cycle) -> Values:
    """Return what each path asks beyond `stock` by the close of each day of the cycle, units.

    Shape (series, paths, review_days); below 0 is stock left without any order. `stock` serves
    the days before delivery too; who finds none is lost and asks no more.
    """
    before = cycle.delivery_days - 1
    left = np.maximum(stock[:, None] - paths[:, :, :before].sum(axis=2), 0.0)
    result: Values = paths[:, :, before : cycle.interval].cumsum(axis=2) - left[:, :, None]
    return result


def expected(needs: Values, order: Ints, costs: Values, cycle: Cycle) -> tuple[Values, Values]:
    """Return units lost and money (lost margin + goodwill + holding) per series over the cycle.

    `needs`: see `needed`; `costs`: (series, 2), underage and overage.
    """
    lost = np.maximum(needs[:, :, -1] - order[:, None], 0.0).mean(axis=1)
    left = np.maximum(order[:, None, None] - needs[:, :, cycle.charged], 0.0)
    held = left.sum(axis=2).mean(axis=1)
    return lost, costs[:, 0] * lost + costs[:, 1] * held


def savings(need: Values, costs: tuple[float, float], pack: int, charged: slice) -> Values:
    """Return what the 1st, 2nd … pack is expected to save, in money, falling.

    `need`: (paths, days) of one series, see `needed`; `costs`: (underage, overage); `charged`: the
    days charged for holding. As many packs as the neediest path could sell.
    """
    asked = np.maximum(need, 0.0).astype(np.int64)
    packs = -(-int(asked.max()) // pack)
    days = asked[:, charged]
    sold, sold_by_day = (_reached(a, packs * pack) / len(asked) for a in (asked[:, -1], days))
    each = costs[0] * sold - costs[1] * (days.shape[1] - sold_by_day)
    # Equal by algebra, rounding apart: what falls must not rise by 1e-15.
    falling: Values = np.minimum.accumulate(each.reshape(packs, pack).sum(axis=1))
    return falling


def _reached(need: Ints, units: int) -> Values:
    """Return how many of `need` reach unit 1, 2 … `units`."""
    exactly = np.bincount(need.ravel(), minlength=units + 1)
    return exactly[::-1].cumsum()[::-1][1 : units + 1].astype(float)


def allocate(worth: Sequence[Values], use: Values, total: float) -> tuple[Ints, float]:
    """Return how many packs each series gets, and the shadow price of what they share.

    `worth`: what each further pack saves, falling; `use`: what a pack of each series takes of
    `total`. Packs are taken by saving per use until the next does not fit: the Lagrangian optimum
    (Everett 1963), whose multiplier is what the pack left out would have saved per use. One sort
    finds it exactly, where a search for the multiplier would only approach it.
    """
    series = np.repeat(np.arange(len(worth)), [len(w) for w in worth])
    value = np.concatenate([*worth, np.zeros(0)])
    series, value = series[value > 0], value[value > 0]
    density = value / np.maximum(use[series], 1e-12)
    best = np.argsort(-density, kind="stable")
    spent = use[series[best]].cumsum()
    fits = int((spent <= total * (1 + 1e-12)).sum())
    price = float(density[best[fits]]) if fits < len(best) else 0.0
    return np.bincount(series[best[:fits]], minlength=len(worth)), price


def planner(history: Values, stock: Values, pack: Ints) -> Ints:
    """Return what the status-quo planner orders, units: up to so many days of recent mean demand.

    `history`: (series, days) of what was sold or wanted, NaN on closed days; `stock`: on hand and
    on order. He rounds up to whole packs.
    """
    recent = history[:, -PLANNER_DAYS:]
    days = np.maximum((~np.isnan(recent)).sum(axis=1), 1)
    target = np.ceil(PLANNER_COVER * np.nansum(recent, axis=1) / days)
    packs: Ints = np.ceil(np.maximum(target - stock, 0.0) / pack).astype(np.int64)
    return packs * pack
