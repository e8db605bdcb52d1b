"""Data at the edge: a clear error, or forecasts and orders that are finite numbers."""

import numpy as np
import pandas as pd
import pytest

from salescast.contract import schema
from salescast.errors import DataQualityError, NotEnoughHistoryError
from salescast.features import point_in_time
from salescast.models import forecaster, make
from salescast.ordering import orders
from salescast.ordering.orders import Cycle, propose
from salescast.ordering.replenishment import (
    SERIES,
    draw,
    learn_dependence,
    position,
    recent_demand,
)
from tests.builders import FIRST, make_items, make_tables

LAST = FIRST + pd.Timedelta(days=159)
LEARNT = list(pd.date_range(FIRST + pd.Timedelta(days=60), LAST, freq="9D"))
PARAMS = {
    "integrated": {},
    "boosting": {
        "iterations": 10,
        "learning_rate": 0.1,
        "max_leaf_nodes": 5,
        "min_samples_leaf": 20,
        "l2_regularization": 1.0,
    },
}
TABLES = make_tables(160)
SALES = TABLES["sales"]
ONE = (SALES["store_id"] == "s1") & (SALES["item_id"] == "u1")
LATE = SALES["date"] > FIRST + pd.Timedelta(days=90)
pytestmark = pytest.mark.parametrize("kind", PARAMS)


def planned_until(day: pd.Timestamp) -> pd.DataFrame:
    """Return the plan without the one series after `day`."""
    plan = TABLES["plan"]
    gone = (plan["store_id"] == "s1") & (plan["item_id"] == "u1") & (plan["date"] > day)
    return plan[~gone]


def without_weather(since: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """Return the weather tables that learn nothing after `since`."""
    names = ("weather_observed", "weather_forecast")
    return {name: schema.known_by(name, TABLES[name], since) for name in names}


EDGES = {
    "a series of zeros": {"sales": SALES.assign(units=SALES["units"].where(~ONE, 0))},
    "a series of one day": {"sales": SALES[~ONE | (SALES["date"] == LAST)]},
    "a series that has ended": {
        "sales": SALES[~(ONE & LATE)],
        "plan": planned_until(FIRST + pd.Timedelta(days=90)),
    },
    "a series that paused": {"sales": SALES[~(ONE & LATE)]},
    "a series always sold out": {"sales": SALES.assign(sold_out=SALES["sold_out"] | ONE)},
    "a series sold out of nothing": {
        "sales": SALES.assign(sold_out=ONE, units=SALES["units"].where(~ONE, 0))
    },
    "no weather for a week": without_weather(LAST - pd.Timedelta(days=7)),
    "no weather at all": without_weather(FIRST - pd.Timedelta(days=9)),
    "a million units a day": {"sales": SALES.assign(units=SALES["units"] * 50_000)},
    "holding all but free": {"items": make_items(holding_cost_per_day=1e-12)},
    "a margin of all but nothing": {"items": make_items(unit_cost=10.0, goodwill_cost=1e-12)},
}


def served(tables: dict[str, pd.DataFrame], kind: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return forecasts and orders at the last day, learned and made as the stages do."""
    costs = orders.unit_costs(schema.latest("items", tables["items"]))
    rows = point_in_time.build(tables, [*LEARNT, LAST])
    happened = point_in_time.past(tables, LAST)
    fitted = make(kind, PARAMS[kind], 1).fit(rows, happened)
    ahead = rows[rows["origin"] == LAST]
    critical = dict(zip(costs["item_id"], costs["critical_ratio"], strict=True))
    made = forecaster.forecast(fitted, ahead, [0.05, 0.5, 0.95], critical)
    dependence = learn_dependence(
        fitted, rows[rows["origin"] < LAST], recent_demand(fitted, happened)
    )
    stock = position(tables, LAST, ahead.drop_duplicates(SERIES))
    paths = draw(fitted, dependence, ahead, stock, Cycle(7, 2))
    proposal = propose(paths, stock, Cycle(7, 2))
    return made, proposal.orders


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("edge", EDGES)
def test_numbers_stay_finite_and_in_order(edge, kind):
    """Never NaN, never negative, quantiles rising, an order for each series forecast."""
    made, ordered = served(TABLES | EDGES[edge], kind)
    for numbers in (made, ordered):
        values = numbers.select_dtypes("number").to_numpy(float)
        assert np.isfinite(values).all()
        assert (values >= 0).all()
    assert (np.diff(made[["p05", "p50", "p95"]].to_numpy(), axis=1) >= 0).all()
    assert len(ordered) == made.drop_duplicates(SERIES).shape[0]


def test_a_series_that_has_ended_is_not_forecast(kind):
    """Two months without a row and none planned; one that is planned comes back at its level."""
    ended, _ = served(TABLES | EDGES["a series that has ended"], kind)
    paused, _ = served(TABLES | EDGES["a series that paused"], kind)
    assert ended.drop_duplicates(SERIES).shape[0] == 3
    back = paused[(paused["store_id"] == "s1") & (paused["item_id"] == "u1")]
    assert back["mean"].mean() == pytest.approx(paused["mean"].mean(), rel=0.4)


def test_huge_sales_are_forecast_as_huge(kind):
    """No ceiling below what the contract lets through."""
    made, _ = served(TABLES | EDGES["a million units a day"], kind)
    assert made["mean"].mean() == pytest.approx(50_000 * SALES["units"].mean(), rel=0.2)


def test_items_never_sold_are_not_ordered(kind):
    """The integrated model expects nothing; boosting says that it cannot learn a rate."""
    tables = TABLES | {"sales": SALES.assign(units=0)}
    if kind == "boosting":
        with pytest.raises(NotEnoughHistoryError, match="not a unit was sold on"):
            served(tables, kind)
    else:
        made, ordered = served(tables, kind)
        assert (made["mean"].max() < 0.01, ordered["order"].sum()) == (True, 0)


def test_all_days_sold_out_is_not_enough_to_learn_from(kind):
    """What was wanted is unknown on every single day, and the error counts them."""
    tables = TABLES | {"sales": SALES.assign(sold_out=True)}
    with pytest.raises(NotEnoughHistoryError, match="640 days were sold, 640 of them sold out"):
        served(tables, kind)


@pytest.mark.parametrize(
    "costs", [{"unit_cost": 11.0}, {"holding_cost_per_day": 0.0}, {"holding_cost_per_day": -1.0}]
)
def test_costs_that_price_nothing_are_refused(kind, costs):
    """A critical ratio of 0 or 1 names the items and what to correct."""
    with pytest.raises(DataQualityError, match=r"u1, u2: .* correct the costs"):
        served(TABLES | {"items": make_items(**costs)}, kind)


@pytest.mark.parametrize(
    ("closed", "delisted", "left"),
    [(0, None, 4), (1, None, 2), (None, 1, 2), (1, 1, 1), (5, None, 4), (None, -20, 2)],
)
def test_a_closed_store_and_a_delisted_item_are_not_forecast(kind, closed, delisted, left):
    """From the day after the origin on: no forecast, so no order. `closed` in days after it."""
    del kind

    def after(days: int | None) -> object:
        return pd.NaT if days is None else LAST + pd.Timedelta(days=days)

    stores, items = TABLES["stores"].copy(), TABLES["items"].copy()
    stores.loc[0, "closed_on"] = after(None if closed == 0 else closed)
    items.loc[0, "delisted_on"] = after(delisted)

    rows = point_in_time.build(TABLES | {"stores": stores, "items": items}, [LAST])

    assert len(rows.drop_duplicates(SERIES)) == left
