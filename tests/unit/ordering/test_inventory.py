"""Shelves, day by day, and what they cost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salescast.ordering.inventory import cycle_costs, per_year, ratio, simulate
from salescast.ordering.orders import Cycle

WEEKLY = Cycle(review_days=7, delivery_days=2)
demands = st.lists(st.integers(0, 20), min_size=8, max_size=30)


def _order(units):
    return lambda review, stock: np.full(len(stock), float(units))


def _up_to(level):
    return lambda review, stock: np.maximum(level - stock, 0.0)


def test_an_order_is_on_the_shelf_two_days_later():
    """Nothing to sell on the day after the review, the order on the next."""
    shelves = simulate(np.ones((1, 3)), np.array([0]), WEEKLY, _order(5))
    assert shelves.sold.tolist() == [[0.0, 1.0, 1.0]]
    assert shelves.left.tolist() == [[0.0, 4.0, 3.0]]


def test_a_policy_sees_what_is_on_order():
    """With deliveries a day longer than reviews the first order is not placed twice."""
    daily = Cycle(review_days=1, delivery_days=3)
    shelves = simulate(np.zeros((1, 6)), np.array([0]), daily, _up_to(4.0))
    assert shelves.ordered.sum() == 4.0


@given(demands, st.integers(0, 40), st.integers(0, 40))
def test_units_are_neither_made_nor_lost(demand, first, order):
    """First stock and what arrived were sold or are left."""
    shelves = simulate(np.array([demand], float), np.array([first]), WEEKLY, _order(order))
    assert (shelves.sold + shelves.lost == demand).all()
    assert first + shelves.ordered.sum() == shelves.sold.sum() + shelves.left[0, -1]
    assert min(shelves.left.min(), shelves.lost.min()) >= 0


@given(demands, st.integers(0, 40), st.integers(0, 20))
def test_stocking_more_never_loses_more_sales(demand, level, more):
    """On any demand, a higher order-up-to level."""
    few, many = (
        simulate(np.array([demand], float), np.array([0]), WEEKLY, _up_to(float(upto)))
        for upto in (level, level + more)
    )
    assert many.lost.sum() <= few.lost.sum()


def test_only_whole_cycles_count():
    """Day 1 precedes the first delivery; days 9 and 10 are no full cycle."""
    shelves = simulate(np.ones((1, 10)), np.array([0]), WEEKLY, _order(0))
    assert cycle_costs(shelves, np.array([3.0]), np.array([1.0]), WEEKLY).tolist() == [21.0]


@pytest.mark.parametrize(("held", "expected"), [("every_close", 28.0), ("cycle_end", 4.0)])
def test_holding_is_charged_as_agreed(held, expected):
    """Four units lie for seven closes."""
    cycle = Cycle(7, 2, held)
    shelves = simulate(np.zeros((1, 8)), np.array([4]), cycle, _order(0))
    assert cycle_costs(shelves, np.array([3.0]), np.array([1.0]), cycle).tolist() == [expected]


def test_the_interval_holds_the_estimate():
    """A year has 52.18 reviews; the interval lies around the mean, the same each time."""
    costs = np.array([1.0, 2.0, 3.0, 4.0] * 10)
    found = per_year(costs, WEEKLY, seed=1)
    assert found["cost_per_year"] == pytest.approx(2.5 * 365.25 / 7)
    assert found["low"] < found["cost_per_year"] < found["high"]
    assert per_year(costs, WEEKLY, seed=1) == found


def test_a_ratio_is_paired():
    """Twice the cost in each week is twice the cost, whatever weeks are drawn."""
    costs = np.array([1.0, 5.0, 9.0])
    assert ratio(2 * costs, costs, seed=1) == pytest.approx({"ratio": 2.0, "low": 2.0, "high": 2.0})
