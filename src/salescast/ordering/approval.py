"""What planners do with proposed orders: approve, edit, reject, release, correct.

Decisions are appended, never changed. The decisions about one order are numbered from 1; the last
one says what the order is now. A released order stays as it is; a correction follows it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

PROPOSED = "proposed"
STATUS_AFTER = {
    "approve": "approved",
    "edit": "approved",
    "reject": "rejected",
    "release": "released",
    "correct": "corrected",
}
ALLOWED = {
    PROPOSED: ("approve", "edit", "reject"),
    "approved": ("approve", "edit", "reject", "release"),
    "rejected": ("approve", "edit", "reject"),
    "released": ("correct",),
    "corrected": ("correct", "release"),
}
REASONS = ("promotion", "event", "weather", "stock", "supplier", "range", "other")
STALE_DAYS = 7  # a count that is older hides what was sold or stolen since
LOW_FILL_RATE = 0.9
UNUSUAL_RATIO = 2.0  # forecast against the last weeks' sales, either way
OVERFULL_CYCLES = 2.0  # stock after the order, in expected demand of its cycle
FAR_SHARE = 0.5  # of the larger order


@dataclass(frozen=True)
class OrderState:
    """What an order is now. `quantity`: units to order, None before any decision."""

    revision: int = 0
    status: str = PROPOSED
    quantity: int | None = None
    released: int = 0  # units released so far

    def after(self, decision: Mapping[str, Any]) -> "OrderState":
        """Return the state after one more decision."""
        status = STATUS_AFTER[decision["action"]]
        quantity = int(decision["quantity"])
        released = quantity if status == "released" else self.released
        return OrderState(int(decision["revision"]), status, quantity, released)


def state_of(decisions: Iterable[Mapping[str, Any]]) -> OrderState:
    """Return the state of one order after its decisions, oldest first."""
    state = OrderState()
    for decision in decisions:
        state = state.after(decision)
    return state


def refusal(state: OrderState, action: str) -> str:
    """Return why an action is not possible now and what is, or an empty string."""
    if action in ALLOWED[state.status]:
        return ""
    if state.status in {"released", "corrected"}:
        return "The order is released and cannot change. Send a correction"
    if action == "release":
        return "Only an approved order can be released. Approve it first"
    return "Only a released order can be corrected. Edit it instead"


def quantity_error(quantity: int, pack_size: int) -> str:
    """Return what is wrong with a quantity in units and the fix, or an empty string."""
    if quantity % pack_size == 0:
        return ""
    below = quantity // pack_size * pack_size
    return f"Units come in packs of {pack_size}: order {below} or {below + pack_size}"


def attention(orders: pd.DataFrame, origin: pd.Timestamp) -> list[list[str]]:
    """Return why each order deserves a look, most urgent first; empty for most orders.

    `orders`: the columns of the ledger's orders, pack_size, degraded (bool), and forecast_per_day
    and sold_per_day (units; means of the days ahead and of the last four weeks).
    """
    order, rule = orders["order"], orders["planner_order"]
    stock = orders["on_hand"] + orders["on_order"] + order
    forecast, sold = orders["forecast_per_day"], orders["sold_per_day"]
    larger, smaller = np.maximum(forecast, sold), np.minimum(forecast, sold)
    age = (origin - pd.to_datetime(orders["counted"])).dt.days
    flags = {
        "lost_sales": (orders["fill_rate"] < LOW_FILL_RATE) & (orders["expected_lost"] >= 1),
        "unusual_demand": (larger - smaller >= 1) & (larger > UNUSUAL_RATIO * smaller),
        "overfull": stock > OVERFULL_CYCLES * orders["expected_demand"] + orders["pack_size"],
        "far_from_rule": ((order - rule).abs() > FAR_SHARE * np.maximum(order, rule))
        & ((order - rule).abs() >= 2 * orders["pack_size"]),
        "stale_count": ~(age <= STALE_DAYS),
        "degraded": orders["degraded"],
    }
    marked = zip(*(flag.tolist() for flag in flags.values()), strict=True)
    return [[name for name, flag in zip(flags, row, strict=True) if flag] for row in marked]
