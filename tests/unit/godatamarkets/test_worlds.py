"""Each world is deterministic, changes what it says it changes, and its oracle knows it."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from godatamarkets import Retailer, oracle
from godatamarkets.economics import REALISTIC, capacity_units, external_storage
from godatamarkets.weather import HISTORY
from godatamarkets.worlds import WORLDS
from tests.unit.godatamarkets.builders import digest, retailer

HASHES = {
    "base": "a8ea3ea0e4fe",
    "no_weather": "38dd08f05155",
    "threshold": "8d781a9f1639",
    "store_shapes": "35406476d7ab",
    "heavy_tails": "d587fb75d531",
    "slow_movers": "0e02fdbe2797",
    "cold_rain": "8eb2f0f086f4",
    "depletion": "1257641c6dd0",
    "weekday_rain": "659f4f2a4813",
    "level_shifts": "4c25debd3703",
    "trend_breaks": "d9780b353d8a",
    "events": "3bcc3131ecb2",
    "everyday": "641a4840bd19",
    "heat_linear": "21e4e9908f9c",
    "heat_threshold": "1aba175511f2",
    "heat_logistic": "b840056a2eb7",
}
DAYS = 1000


@cache
def shop(world: str) -> Retailer:
    """Return a small retailer in a world; give it no orders."""
    return Retailer("small", 7, world=world)


@pytest.mark.parametrize("world", WORLDS)
def test_a_world_is_the_same_to_the_byte_everywhere(world: str):
    """Six weeks of summer hash to what they did elsewhere."""
    assert digest(shop(world).deliver("2022-06-01", "2022-07-15"))[:12] == HASHES[world]


@pytest.mark.parametrize("world", WORLDS)
def test_the_oracles_mean_is_that_of_the_world(world: str):
    """Over two years, every twentieth day, it is within 5 % of the demand that follows."""
    origins = pd.date_range("2022-02-01", periods=37, freq="20D")
    rows = oracle.as_issued(shop(world), origins, (0.5,), horizon=5, paths=60, cache=None)
    assert rows["mean"].sum() / rows["demand"].sum() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("world", ["everyday", "heavy_tails", "trend_breaks"])
def test_outcomes_lie_evenly_around_the_oracles_median(world: str):
    """Levels and shocks that nobody can know widen its distribution, and do not shift it."""
    origins = pd.date_range("2022-02-01", periods=19, freq="40D")
    rows = oracle.as_issued(shop(world), origins, (0.5,), horizon=7, paths=60, cache=None)
    assert rows["below"].mean() < 0.5 < rows["upto"].mean()
    assert (rows["below"] + rows["upto"]).mean() / 2 == pytest.approx(0.5, abs=0.05)


def test_a_new_store_leaves_the_others_alone_in_any_world():
    """The rows of all older stores are those without it."""
    period = "2022-01-03", "2022-06-30"
    plain = shop("everyday").deliver(*period)
    more = Retailer("small", 7, ["new_store@2022-03-01"], world="everyday").deliver(*period)
    for name in ("sales", "stock", "plan"):
        rows = more[name][more[name]["store_id"].isin(plain["stores"]["store_id"])]
        pd.testing.assert_frame_equal(rows.reset_index(drop=True), plain[name])


def test_a_longer_life_leaves_the_past_alone_in_any_world():
    """Levels and shocks of past days do not depend on how far the future is simulated."""
    long = Retailer("small", world="everyday")
    long.deliver("2027-06-01")
    days = slice(0, DAYS)
    assert (long.demand.units[:, days] == shop("everyday").demand.units[:, days]).all()


def test_without_weather_the_calendar_is_all():
    """Neither rain nor temperature moves the rate."""
    demand = shop("no_weather").demand
    log_rate = np.log(demand.rate[demand.trading])
    assert log_rate == pytest.approx(demand.calendar[demand.trading])


def test_stores_differ_in_the_rain_that_moves_them():
    """Two to three mm sell more in stores with a threshold of 1 mm alone."""
    sim = shop("store_shapes")
    rain = sim.weather.precip[:, HISTORY : HISTORY + DAYS][sim.series.city]
    light = (rain >= 2) & (rain < 3) & sim.demand.trading[:, :DAYS]
    dry = (rain == 0) & sim.demand.trading[:, :DAYS]
    effect = np.log(np.maximum(sim.demand.rate, 1e-9)) - sim.demand.calendar
    effect = effect[:, :DAYS]
    shape = sim.series.shape(WORLDS["store_shapes"])
    lift = [
        effect[shape == n][light[shape == n]].mean() - effect[shape == n][dry[shape == n]].mean()
        for n in range(3)
    ]
    assert lift[0] > 0.5
    assert max(abs(value) for value in lift[1:]) < 0.2


def test_heat_moves_demand_by_the_day_s_temperature():
    """In the threshold world, .12 for each degree above 15, and nothing below."""
    sim = shop("heat_threshold")
    temp = sim.weather.temp[sim.series.city][sim.demand.trading]
    effect = np.log(sim.demand.rate[sim.demand.trading]) - sim.demand.calendar[sim.demand.trading]
    assert effect == pytest.approx(0.12 * np.maximum(temp - 15, 0))


def test_levels_shift_about_once_a_year_by_the_same_factor():
    """Steps are × or ÷ 1.6, and between them the level rests."""
    steps = np.diff(shop("level_shifts").demand.levels.log_level, axis=1)
    moved = np.abs(steps) > 1e-12
    assert np.abs(steps[moved]) == pytest.approx(np.log(1.6))
    assert moved.sum() / (steps.size / 365.25) == pytest.approx(1.0, abs=0.3)


def test_trends_last_at_least_a_hundred_days():
    """A slope is drawn anew only after that."""
    slopes = shop("trend_breaks").demand.levels.slope
    lasts = [np.diff(np.flatnonzero(np.diff(row))) for row in slopes]
    assert min(np.concatenate(lasts)) >= 100


def test_events_lift_paydays_and_one_item_in_its_week():
    """28th to 2nd, and the week of the fourth Thursday of November."""
    demand, base = shop("events").demand, shop("no_weather").demand
    extra = pd.DataFrame((demand.calendar - base.calendar).T)
    extra.index = pd.date_range("2022-01-03", periods=len(extra))
    assert extra.loc["2023-03-28", 1] - extra.loc["2023-03-27", 1] == pytest.approx(0.35, abs=0.02)
    assert (extra[0] - extra[1]).pipe(lambda gap: gap[gap > 0.5]).loc[
        "2023"
    ].index.tolist() == list(pd.date_range("2023-11-20", "2023-11-26"))


def test_customers_take_another_item_of_the_store():
    """Some sales exceed an item's own demand, and none what was on the shelf."""
    sim, plain = shop("everyday"), Retailer("small", 7, world="base")
    sales = sim.deliver("2022-01-03", "2023-12-31")["sales"]
    truth = oracle.true_demand(sim, "2022-01-03", "2023-12-31")
    both = sales.merge(truth, on=["store_id", "item_id", "date"])
    taken = both["units"] > both["demand"]
    assert 0.005 < taken.mean() < 0.2
    assert not both.loc[taken, "sold_out"].all()
    own = plain.deliver("2022-01-03", "2022-12-31")["sales"]
    assert (own["units"] >= 0).all()


def test_an_unknown_world_is_refused():
    """The message names the worlds there are."""
    with pytest.raises(ValueError, match="known are base, no_weather"):
        Retailer("small", world="flat")


def test_the_catalogues_costs_are_the_default():
    """The embedded data keep their costs until somebody chooses others."""
    listed = retailer().deliver("2022-01-03")["items"]
    assert listed["holding_cost_per_day"].tolist() == [1.7, 2.7]


def test_realistic_costs_are_a_share_of_cost_and_price():
    """A quarter of the purchase cost a year plus floor space; a tenth of the price."""
    sim = Retailer("small", economics=REALISTIC)
    items = sim.deliver("2022-01-03")["items"]
    assert items["holding_cost_per_day"].tolist() == pytest.approx([0.0143, 0.0158], abs=1e-4)
    assert items["goodwill_cost"].tolist() == [1.2, 1.9]
    assert min(item.critical_ratio for item in sim.series.items) > 0.99


def test_what_a_stockroom_cannot_hold_is_stored_outside():
    """Ten units beyond the capacity cost a dollar a day."""
    series = retailer().series
    on_hand = np.full((len(series.item), 30), 10)
    capacity = capacity_units(series, on_hand)
    assert capacity.tolist() == [40] * len(series.stores)
    on_hand[series.store == 0, 3] = 25
    cost = external_storage(series, on_hand, capacity)
    assert cost[0, 3] == pytest.approx(1.0)
    assert cost.sum() == pytest.approx(1.0)
