"""What is delivered, when it became known, and how orders move stock."""

import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st

from godatamarkets import EMBEDDED_END, START, Retailer
from salescast.contract.conform import conform
from salescast.contract.schema import TABLES
from tests.unit.godatamarkets.builders import half_year, retailer


@pytest.mark.parametrize("table", TABLES)
def test_rows_are_contract_rows(table: str):
    """Columns, order and dtypes are the contract's, but for nullable columns that it leaves out."""
    rows = half_year()[table]
    pd.testing.assert_frame_equal(conform(table, rows)[[*rows]], rows)


@pytest.mark.parametrize("table", TABLES)
def test_only_what_became_known_on_the_day_is_delivered(table: str):
    """Nothing known earlier or later comes with a day's delivery."""
    for day in pd.date_range("2022-01-03", periods=20):
        known = retailer().deliver(day)[table][TABLES[table].known_at]
        assert (known.dt.normalize() == day).all()


def test_the_plan_is_known_two_weeks_ahead():
    """On the first day it reaches from that day on; each later day adds one date."""
    first, second = (
        retailer().deliver(day)["plan"]["date"] for day in ("2022-01-03", "2022-01-04")
    )
    assert (first.min(), first.max()) == (START, START + pd.Timedelta(days=14))
    assert set(second) == {START + pd.Timedelta(days=15)}


def test_an_issue_speaks_of_fifteen_days():
    """Leads 0 … 14, for each city."""
    rows = retailer().deliver("2022-05-05")["weather_forecast"]
    lead = (rows["date"] - rows["issued_at"].dt.normalize()).dt.days
    assert lead.tolist() == [*range(15)] * 3


@pytest.mark.parametrize("table", ["sales", "stock"])
@pytest.mark.parametrize("day", ["2022-12-25", "2023-01-01"])
def test_closed_days_have_no_rows(table: str, day: str):
    """Nobody opens the tills on Christmas and New Year's Day."""
    assert retailer().deliver(day)[table].empty


def test_the_demo_has_144_series_until_the_end_of_the_embedded_period():
    """Six cities, four stores each, six items."""
    sales = retailer("demo").deliver(EMBEDDED_END)["sales"]
    assert (len(sales), sales["store_id"].nunique(), sales["item_id"].nunique()) == (144, 24, 6)


def test_one_week_in_ten_is_on_promotion():
    """The price is then 80 % of the list price."""
    plan = retailer("demo").deliver("2022-01-03", "2024-12-29")["plan"]
    assert plan["promo"].mean() == pytest.approx(0.1, abs=0.01)
    u4 = plan[plan["item_id"] == "u4"]
    assert set(u4["price"][u4["promo"]]) == {6.4}
    assert set(u4["price"][~u4["promo"]]) == {8.0}


def test_sales_are_demand_until_the_shelf_is_empty():
    """Units sold are the demand, or all there was, and then the day says sold out."""
    world = retailer()
    sales = half_year()["sales"]
    demand = world.demand.units[:, :179].T[world.demand.trading[:, :179].T]
    short = sales["units"].to_numpy() < demand
    assert (sales["units"].to_numpy() <= demand).all()
    assert sales.loc[short, "sold_out"].all()
    assert 0 < short.mean() < 0.2


def orders_for(units: list[int]) -> pd.DataFrame:
    """Return an order for each of the first series."""
    names = retailer().series.names[: len(units)]
    return pd.DataFrame(names, columns=["store_id", "item_id"]).assign(units=units)


@hypothesis.settings(max_examples=15)
@hypothesis.given(
    st.dictionaries(
        st.integers(0, 40), st.lists(st.integers(0, 50), min_size=1, max_size=5), max_size=6
    )
)
def test_units_are_neither_lost_nor_made(plan: dict[int, list[int]]):
    """Stock moves by what was ordered two days before and by what was sold, whatever the orders."""
    world = Retailer("small")
    for day, units in plan.items():
        world.deliver(START + pd.Timedelta(days=day), orders=orders_for(units))
    stock = world.deliver(START, START + pd.Timedelta(days=45))
    on_hand, on_order = (
        stock["stock"][name].to_numpy().reshape(46, 18) for name in ("on_hand", "on_order")
    )
    sold = stock["sales"]["units"].to_numpy().reshape(46, 18)
    assert (on_hand[2:] == on_hand[1:-1] + on_order[1:-1] - sold[2:]).all()
    assert (on_hand >= 0).all()
    for day, units in plan.items():
        assert on_order[day + 1, : len(units)].tolist() == units


def test_an_order_replaces_the_planners_for_its_series_alone():
    """The other series are ordered for as always, and demand does not move."""
    monday = pd.Timestamp("2022-02-07")
    world = Retailer("small")
    plain = world.deliver(START, "2022-03-31")
    world.deliver(monday, orders=orders_for([0]))
    ordered = world.deliver(START, "2022-03-31")
    differ = plain["stock"][plain["stock"]["on_hand"] != ordered["stock"]["on_hand"]]
    assert set(zip(differ["store_id"], differ["item_id"], strict=True)) == {("london-1", "u1")}
    assert differ["date"].min() > monday
    assert (world.demand.units == retailer().demand.units).all()


def test_the_day_of_the_order_itself_stays_as_it_was():
    """Orders are placed after the count, so delivering the day again gives the same rows."""
    world = Retailer("small")
    before = world.deliver("2022-02-07")
    after = world.deliver("2022-02-07", orders=orders_for([99]))
    for name, rows in before.items():
        pd.testing.assert_frame_equal(rows, after[name])


@pytest.mark.parametrize(
    ("orders", "reason"),
    [
        ({"store_id": ["rome-1"], "item_id": ["u1"], "units": [1]}, "rome-1 × u1: no such series"),
        ({"store_id": ["london-1"], "item_id": ["u1"], "units": [-1]}, "-1 is not a whole count"),
        ({"store_id": ["london-1"], "item_id": ["u1"], "units": [1.5]}, "1.5 is not a whole count"),
    ],
)
def test_a_wrong_order_is_refused(orders: dict[str, list[object]], reason: str):
    """Unknown series and odd units are named."""
    with pytest.raises(ValueError, match=reason):
        Retailer("small").deliver("2022-02-07", orders=pd.DataFrame(orders))


@pytest.mark.parametrize("days", [("2021-12-31",), ("2022-02-02", "2022-02-01")])
def test_days_that_cannot_be_delivered_are_refused(days: tuple[str, ...]):
    """Before the first day, or backwards."""
    with pytest.raises(ValueError, match=r"opened on|lies before"):
        retailer().deliver(*days)


def test_an_unknown_size_is_refused():
    """The message names the sizes there are."""
    with pytest.raises(ValueError, match="known are small, demo"):
        Retailer("huge")


def test_rain_is_told_to_a_tenth():
    """Gauges read 0.1 mm and 0.1 °C, issues chances of 5 %."""
    tables = half_year()
    for table in ("weather_observed", "weather_forecast"):
        for column in ("precip_mm", "temp_c"):
            assert np.array_equal(tables[table][column], tables[table][column].round(1))
    chance = tables["weather_forecast"]["precip_probability"] * 20
    assert np.allclose(chance, chance.round(), atol=1e-9)
