"""What may happen to an order, and which orders deserve a look."""

import itertools

import pandas as pd
import pytest

from salescast.ordering.approval import (
    ALLOWED,
    STATUS_AFTER,
    OrderState,
    attention,
    quantity_error,
    refusal,
    state_of,
)

ORIGIN = pd.Timestamp("2024-12-29")
USUAL = {
    "order": 12,
    "planner_order": 12,
    "on_hand": 4,
    "on_order": 0,
    "counted": ORIGIN,
    "expected_demand": 14.0,
    "expected_lost": 0.5,
    "fill_rate": 0.96,
    "pack_size": 6,
    "forecast_per_day": 2.0,
    "sold_per_day": 1.9,
    "degraded": False,
}


def decisions(*actions, quantity=12):
    """Return decisions numbered from 1."""
    return [
        {"action": action, "revision": number, "quantity": quantity}
        for number, action in enumerate(actions, 1)
    ]


def test_an_order_is_what_the_last_decision_made_of_it():
    """Released units stay counted through a correction."""
    state = state_of(decisions("approve", "release", "correct"))

    assert state == OrderState(3, "corrected", 12, 12)


def test_whatever_is_released_can_never_be_edited_again():
    """However many allowed steps lead there."""
    for steps in itertools.product(STATUS_AFTER, repeat=4):
        state = OrderState()
        for number, action in enumerate(steps, 1):
            if action not in ALLOWED[state.status]:
                break
            state = state.after({"action": action, "revision": number, "quantity": 12})
        if state.released:
            assert refusal(state, "edit")
            assert refusal(state, "reject")


@pytest.mark.parametrize(("quantity", "fix"), [(12, ""), (0, ""), (7, "order 6 or 12")])
def test_a_quantity_is_in_whole_packs(quantity, fix):
    """The message names the two nearest."""
    assert fix in quantity_error(quantity, 6)
    assert (quantity_error(quantity, 6) == "") == (fix == "")


LOOKS = {
    "lost_sales": {"fill_rate": 0.7, "expected_lost": 4.0},
    "unusual_demand": {"forecast_per_day": 6.0},
    "overfull": {"on_hand": 90},
    "far_from_rule": {"planner_order": 48},
    "stale_count": {"counted": ORIGIN - pd.Timedelta(days=8)},
    "degraded": {"degraded": True},
}


@pytest.mark.parametrize(("flag", "change"), LOOKS.items(), ids=LOOKS)
def test_an_order_that_deserves_a_look_says_why(flag, change):
    """One reason for one change; the usual order has none."""
    orders = pd.DataFrame([USUAL, USUAL | change])

    assert attention(orders, ORIGIN) == [[], [flag]]


def test_stock_that_was_never_counted_is_stale():
    """It is taken as empty, which it may not be."""
    assert attention(pd.DataFrame([USUAL | {"counted": pd.NaT}]), ORIGIN) == [["stale_count"]]
