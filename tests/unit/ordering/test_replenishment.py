"""From a model and the shelves to orders, at one origin and over a backtest."""

import numpy as np
import pandas as pd
import pytest

from salescast.evaluation.backtest import Recipe, cutoffs, fits
from salescast.evaluation.rehearsal import PLANNER, rehearse
from salescast.features.point_in_time import build, past
from salescast.models.response import uncensor
from salescast.ordering.orders import Cycle, Limit, propose
from salescast.ordering.replenishment import (
    SERIES,
    draw,
    learn_dependence,
    planner_orders,
    position,
    recent_demand,
    recent_sales,
)
from tests.builders import FIRST, make_tables

WEEKLY = Cycle(7, 2)
LAST = FIRST + pd.Timedelta(days=199)


@pytest.fixture(scope="module")
def world():
    """Tables of 200 days, the fits of four weekly cutoffs, and the truth."""
    tables = make_tables()
    tested = cutoffs(LAST, 4, 7, 14)
    rows = build(tables, [*pd.date_range(FIRST + pd.Timedelta(days=60), LAST, freq="5D"), *tested])
    how = Recipe("integrated", {}, 1, [0.1, 0.5, 0.9], {"u1": 0.8})
    fitted = fits(rows, lambda day: past(tables, day), tested, 2, how)
    return tables, fitted, uncensor(past(tables, LAST))


@pytest.fixture(scope="module")
def decided(world):
    """Order at the last cutoff, from what is on the shelves there."""
    tables, fitted, _ = world
    fit = fitted[0]
    origin = fit.served["origin"].max()
    rows = fit.served[fit.served["origin"] == origin]
    stock = position(tables, origin, rows.drop_duplicates(SERIES))
    dependence = learn_dependence(fit.model, fit.known, recent_demand(fit.model, fit.happened))

    def order(stock=stock, limit=None):
        paths = draw(fit.model, dependence, rows, stock, WEEKLY)
        return propose(paths, stock, WEEKLY, limit), paths

    return order, stock


def test_what_is_in_stock_need_not_be_ordered(decided):
    """With a full shelf nothing, with an empty one about a week of demand."""
    order, stock = decided
    full, empty = (order(stock.assign(on_hand=units))[0].orders for units in (500.0, 0.0))
    assert (full["order"] == 0).all()
    assert empty["order"].between(7, 60).all()


def test_orders_do_not_depend_on_the_order_of_series(decided):
    """Rows of the stock table may come in any order."""
    order, stock = decided
    plain, turned = order(stock)[0].orders, order(stock.iloc[::-1].reset_index(drop=True))[0].orders
    pd.testing.assert_frame_equal(
        plain, turned.sort_values(SERIES, ignore_index=True), check_like=True
    )


def test_a_shared_budget_is_kept_and_has_a_price(decided):
    """Half of the money buys less, and one more unit would be worth something."""
    order, stock = decided
    empty = stock.assign(on_hand=0.0)
    free = order(empty)[0]
    limit = Limit(free.orders["spend"].sum() / 2, stock["unit_cost"].to_numpy(float))
    scarce = order(empty, limit)[0]
    assert scarce.orders["spend"].sum() <= limit.total
    assert (free.shadow_price, scarce.shadow_price > 0) == (0.0, True)


def test_the_planner_is_expected_to_cost_more_than_the_best_order(decided, world):
    """On the same paths no order costs less than the proposed one."""
    order, stock = decided
    proposal, drawn = order()
    history = recent_sales(world[0], LAST, stock)
    planned = planner_orders(drawn, stock, history, WEEKLY)
    assert (planned["planner_cost"] >= proposal.orders["expected_cost"] - 1e-9).all()
    assert planned["planner_order"].gt(0).all()


def test_the_planner_does_not_learn_from_an_empty_shelf(world):
    """A day sold out is no measure of what is wanted; a correction is heard."""
    tables, _, _ = world
    series = pd.DataFrame({"store_id": ["s1"], "item_id": ["u1"]})
    sales = tables["sales"].copy()
    last = (sales["date"] == LAST) & (sales["store_id"] == "s1") & (sales["item_id"] == "u1")
    sales.loc[last, "sold_out"] = True
    history = recent_sales({**tables, "sales": sales}, LAST, series)
    assert np.isnan(history[0, -1])
    assert not np.isnan(history[0, :-1]).any()


def test_stock_is_what_was_counted_by_the_origin(world):
    """A later count is not known yet; without a table shelves are empty, and it says so."""
    tables, origin = world[0], FIRST + pd.Timedelta(days=100)
    series = pd.DataFrame({"store_id": ["s1", "s2"], "item_id": ["u1", "u1"]})
    later = tables["stock"].assign(on_hand=lambda rows: np.where(rows["date"] > origin, 999, 20))
    known = position({**tables, "stock": later}, origin, series)
    none = position({n: t for n, t in tables.items() if n != "stock"}, origin, series)
    assert known["on_hand"].tolist() == [20, 20]
    assert (known["counted"] == origin).all()
    assert none["on_hand"].tolist() == [0, 0]
    assert none["counted"].isna().all()


@pytest.mark.parametrize(
    ("on_hand", "on_order", "age", "expected"),
    [
        (20, 0, 0, (20, 0)),
        (200, 30, 10, (200 - 40, 30)),
        (10, 50, 10, (0, 20)),
        (10, 5, 10, (0, 0)),
        (-3, 0, 0, (-3, 0)),
    ],
)
def test_an_old_count_is_projected_by_what_was_sold_since(world, on_hand, on_order, age, expected):
    """First from the shelf, then from what was on order; a fresh count stays, oversold or not."""
    tables, origin = world[0], FIRST + pd.Timedelta(days=100)
    series = pd.DataFrame({"store_id": ["s1"], "item_id": ["u1"]})
    stock = tables["stock"].assign(on_hand=on_hand, on_order=on_order)
    old = stock[stock["date"] <= origin - pd.Timedelta(days=age)]
    four_a_day = tables["sales"].assign(units=4)

    known = position({**tables, "stock": old, "sales": four_a_day}, origin, series)

    assert (known["on_hand"][0], known["on_order"][0]) == expected


def test_every_way_of_ordering_meets_the_same_demand(world):
    """Each model and the planner have a cost a year, an interval around it, and a fill rate."""
    tables, fitted, truth = world
    first = fitted[0].served
    stock = position(tables, first["origin"].min(), first.drop_duplicates(SERIES))
    found = pd.DataFrame(rehearse(fitted, truth, stock, WEEKLY)).T
    assert set(found.index) == {"challenger", "blind", "seasonal_naive", "weekday_mean", PLANNER}
    assert (found["low"] <= found["cost_per_year"]).all()
    assert (found["cost_per_year"] <= found["high"]).all()
    assert found["fill_rate"].between(0.3, 1.0).all()
    assert found.loc[PLANNER, "of_planner_ratio"] == 1.0
    assert found.loc["challenger", "of_planner_ratio"] < 0.9


def test_the_blind_twins_shelves_do_not_hear_of_the_weather(world):
    """Its fit and its rows carry no issue at all."""
    blind = next(fit for fit in world[1] if fit.name == "blind")
    assert blind.known["rain_mm"].isna().all()
    assert blind.served["issued_at"].isna().all()
