"""Costs turn quantiles into money."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from salescast.errors import ConfigError, DataQualityError
from salescast.ordering.orders import (
    Cycle,
    Limit,
    allocate,
    due,
    newsvendor_cost,
    planner,
    propose,
    unit_costs,
)
from tests.builders import make_items


def test_critical_ratio_weighs_a_lost_sale_against_a_day_on_the_shelf():
    """Margin 5 + goodwill 1 against 1 a day: 6 ÷ 7."""
    assert unit_costs(make_items(1))["critical_ratio"].item() == pytest.approx(6 / 7)


def test_an_item_without_margin_is_named():
    """No order is worth placing, so the costs must be wrong."""
    items = make_items(2, unit_cost=[5.0, 30.0])
    with pytest.raises(DataQualityError, match="table items: u2: price − cost"):
        unit_costs(items)


def test_cost_is_underage_below_and_overage_above():
    """Two short at 3 each; one left at 1."""
    cost = newsvendor_cost(np.array([5.0, 2.0]), np.array([3.0, 3.0]), *np.array([[3.0], [1.0]]))
    assert cost.tolist() == [6.0, 1.0]


@given(st.floats(0.5, 20), st.floats(0.5, 9), st.floats(0.5, 9))
def test_stocking_the_critical_quantile_is_cheapest(mean, underage, overage):
    """No other quantity costs less under the true distribution."""
    demand = np.arange(120.0)
    chance = poisson.pmf(demand, mean)

    def expected(stock: float) -> float:
        costs = newsvendor_cost(demand, np.full_like(demand, stock), underage, overage)
        return float(chance @ costs)

    best = poisson.ppf(underage / (underage + overage), mean)
    assert expected(best) <= min(expected(s) for s in range(60)) + 1e-9


WEEKLY = Cycle(review_days=7, delivery_days=2)
stocks = st.lists(st.integers(0, 80), min_size=3, max_size=3)


def make_position(on_hand=(0, 0, 0), pack=(1, 2, 4), **columns):
    """Return three series at 10 a piece that cost 5, 1 a day to hold."""
    items = make_items(3, pack_size=list(pack), **columns)
    return unit_costs(items).assign(store_id="s1", on_hand=list(on_hand), on_order=0)


def make_paths(mean: float = 4.0, leads: int = 8, seed: int = 1):
    """Return 100 paths of Poisson demand for three series."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return rng.poisson(mean, (3, 100, leads)).astype(float)


@settings(max_examples=25)
@given(stocks, st.floats(0, 9))
def test_orders_are_whole_packs(on_hand, mean):
    """Never negative, always a multiple of the pack."""
    position = make_position(on_hand)
    order = propose(make_paths(mean), position, WEEKLY).orders["order"]
    assert (order >= 0).all()
    assert (order % position["pack_size"] == 0).all()


@settings(max_examples=25)
@given(stocks, st.integers(0, 30))
def test_less_stock_never_orders_less(on_hand, fewer):
    """What is missing from the shelf is worth ordering."""
    paths, less = make_paths(), np.maximum(np.array(on_hand) - fewer, 0)
    full = propose(paths, make_position(on_hand), WEEKLY).orders["order"]
    assert (propose(paths, make_position(less), WEEKLY).orders["order"] >= full).all()


@settings(max_examples=25)
@given(st.floats(0, 900), st.floats(0, 900))
def test_a_budget_is_kept(one, other):
    """Spend stays within, grows with it, and what more would save is never negative."""
    position, small, large = make_position(), min(one, other), max(one, other)
    cost = position["unit_cost"].to_numpy()
    less, more = (propose(make_paths(), position, WEEKLY, Limit(b, cost)) for b in (small, large))
    assert less.orders["spend"].sum() <= small + 1e-9
    assert less.orders["spend"].sum() <= more.orders["spend"].sum() <= large + 1e-9
    assert less.shadow_price >= more.shadow_price >= 0


def test_a_budget_nobody_feels_has_no_price():
    """It orders what no budget would."""
    free = propose(make_paths(), make_position(), WEEKLY)
    rich = propose(make_paths(), make_position(), WEEKLY, Limit(1e6, np.ones(3)))
    assert rich.orders.equals(free.orders)
    assert rich.shadow_price == 0.0


def test_a_scarce_unit_goes_where_it_saves_most():
    """One unit of room: the dearest margin gets it, the next would have saved the shadow price."""
    worth = [np.array([3.0, 1.0]), np.array([5.0, 2.0])]
    packs, price = allocate(worth, np.ones(2), 1.0)
    assert packs.tolist() == [0, 1]
    assert price == 3.0


@pytest.mark.parametrize("held", ["every_close", "cycle_end"])
@settings(max_examples=25)
@given(on_hand=st.integers(0, 40), mean=st.floats(0.2, 6))
def test_no_other_order_costs_less(held, on_hand, mean):
    """The rule finds the minimum of lost margin and holding over the paths themselves."""
    cycle, paths = Cycle(7, 2, held), make_paths(mean)[:1]
    position = make_position((on_hand, 0, 0)).iloc[:1]

    def cost(order: int) -> float:
        left = np.maximum(on_hand - paths[0, :, 0], 0) + order
        end = np.maximum(left[:, None] - paths[0, :, 1:8].cumsum(axis=1), 0)
        lost = np.maximum(paths[0, :, 1:8].sum(axis=1) - left, 0)
        return float(6 * lost.mean() + end[:, cycle.charged].sum(axis=1).mean())

    found = propose(paths, position, cycle).orders
    assert found["expected_cost"].item() == pytest.approx(min(cost(q) for q in range(80)))
    assert found["expected_cost"].item() == pytest.approx(cost(found["order"].item()))


def test_one_day_without_delivery_is_the_newsvendor():
    """The order is the quantile at the critical ratio, 6 ÷ 7."""
    paths = make_paths(20.0, leads=1)
    order = propose(paths, make_position(pack=(1, 1, 1)), Cycle(1, 1)).orders["order"]
    assert order.tolist() == np.quantile(paths[:, :, 0], 6 / 7, axis=1, method="higher").tolist()


def test_what_is_on_order_counts():
    """Ten units under way are ten units less to order, up to the pack."""
    position = make_position(pack=(1, 1, 1))
    coming = position.assign(on_order=10)
    plain, less = (propose(make_paths(), p, WEEKLY).orders for p in (position, coming))
    assert (less["order"] < plain["order"]).all()


def test_paths_shorter_than_the_interval_are_refused():
    """Seven days cannot protect eight."""
    with pytest.raises(ConfigError, match=r"7 \+ delivery_days 2 − 1 is more than the 7 days"):
        propose(make_paths(leads=7), make_position(), WEEKLY)


def test_the_planner_orders_up_to_eleven_days_of_the_last_four_weeks():
    """28 days of 4 wanted: up to 45; 5 there, 40 missing, ten packs of 4. Older days are old."""
    history = np.array([[100.0, *[4.0] * 28]])
    assert planner(history, np.array([5.0]), np.array([4])).tolist() == [40]


def test_the_planner_forgets_closed_days():
    """NaN is no day of demand 0."""
    history = np.array([[np.nan, *[4.0] * 27]])
    assert planner(history, np.array([5.0]), np.array([1])).tolist() == [40]


@pytest.mark.parametrize(("days", "expected"), [(1, 14), (7, 2), (14, 1)])
def test_orders_are_due_on_the_review_weekday(days, expected):
    """In a fortnight, counted from a Monday."""
    fortnight = pd.date_range("2024-01-01", periods=14)
    dates = [d for d in fortnight if due(d, 0, days)]
    assert len(dates) == expected
    assert days == 1 or {d.weekday() for d in dates} == {0}
