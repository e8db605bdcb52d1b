"""The simulated world looks like the real one it was calibrated on."""

from functools import cache

import numpy as np
import pytest

from godatamarkets import weather
from godatamarkets.catalogue import CITIES, ITEMS
from godatamarkets.weather import HISTORY, Weather
from tests.unit.godatamarkets.builders import retailer

DAYS = 1092
DECADES = 11_000


@cache
def long_weather(city: int) -> Weather:
    """Return thirty years of one city."""
    return weather.simulate(11, CITIES[city : city + 1], DECADES, ())


def test_seattle_is_as_wet_as_seattle():
    """P(wet), P(wet | dry), P(wet | wet) within .05 of Seattle 2012–15: .346, .209, .607."""
    wet = long_weather(1).precip[0] >= 1
    before, after = wet[:-1], wet[1:]
    found = wet.mean(), after[~before].mean(), after[before].mean()
    assert found == pytest.approx((0.346, 0.209, 0.607), abs=0.05)


def test_day_ahead_chance_of_rain_is_as_skilful_as_a_real_one():
    """Brier skill at lead 1 in .45–.60 (ECMWF Frankfurt 2007–16: .38 raw, .57 recalibrated)."""
    scores = []
    for city in range(len(CITIES)):
        sky = long_weather(city)
        chance = sky.issued_chance[0, :-1, 1]
        wet = sky.precip[0, HISTORY + 1 :] >= 1
        scores.append(1 - ((chance - wet) ** 2).mean() / wet.var())
    assert 0.45 <= np.mean(scores) <= 0.60


def test_issued_chances_are_reliable():
    """Where 30 % were issued three days ahead, it rains on about 30 % of days."""
    sky = long_weather(0)
    chance, wet = sky.issued_chance[0, :-3, 3], sky.precip[0, HISTORY + 3 :] >= 1
    for issued in (0.1, 0.3, 0.5):
        assert wet[np.isclose(chance, issued)].mean() == pytest.approx(issued, abs=0.06)


def test_issued_rain_is_the_mean_of_the_rain_that_comes():
    """The expected mm, two days ahead, are right on average."""
    sky = long_weather(0)
    assert sky.issued_precip[0, :-2, 2].mean() == pytest.approx(
        sky.precip[0, HISTORY + 2 :].mean(), rel=0.05
    )


def test_day_ahead_temperature_is_as_good_as_a_real_one():
    """RMSE at lead 1 in 1.4–1.9 °C (US National Weather Service 2021–22: 1.5–1.8)."""
    skies = [long_weather(city) for city in range(len(CITIES))]
    errors = [sky.issued_temp[0, :-1, 1] - sky.temp[0, 1:] for sky in skies]
    assert 1.4 <= np.sqrt(np.mean(np.square(errors))) <= 1.9


def test_forecasts_lose_their_skill_with_the_lead():
    """Each later lead day is less certain, down to almost climatology."""
    sky = long_weather(0)
    wet, days = sky.precip[0, HISTORY:] >= 1, DECADES - 14
    errors = [
        ((sky.issued_chance[0, :days, lead] - wet[lead : lead + days]) ** 2).mean()
        for lead in range(15)
    ]
    assert errors == sorted(errors)
    assert errors[14] > 0.95 * wet.var()


def test_rain_raises_demand_as_much_as_reported():
    """In a typical store rain multiplies an item's demand by 1.8 … 5 (press: 1.3 … 4.5)."""
    world = retailer("demo")
    wet = (world.weather.precip[:, HISTORY : HISTORY + DAYS] >= 1)[world.series.city]
    trading = world.demand.trading[:, :DAYS]
    rates = np.where(trading, world.demand.rate[:, :DAYS], np.nan)
    typical = np.log(rates) - world.demand.calendar[:, :DAYS]
    uplift = np.nanmean(np.where(wet, typical, np.nan), axis=1)
    uplift -= np.nanmean(np.where(wet, np.nan, typical), axis=1)
    by_item = [np.median(uplift[world.series.item == j]) for j in range(len(ITEMS))]
    assert np.exp(min(by_item)) == pytest.approx(1.9, abs=0.15)
    assert np.exp(max(by_item)) == pytest.approx(4.8, abs=0.4)


def test_the_planner_runs_out_of_stock_as_often_as_planned():
    """About 8 % of days sold out, 12 % of units lost."""
    world = retailer("demo")
    sales = world.deliver("2022-01-03", "2024-12-29")["sales"]
    lost = 1 - sales["units"].sum() / world.demand.units[:, :DAYS].sum()
    assert sales["sold_out"].mean() == pytest.approx(0.08, abs=0.015)
    assert lost == pytest.approx(0.12, abs=0.015)


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.item_id)
def test_one_unit_too_few_costs_about_five_times_one_too_many(item):
    """Each item's critical ratio lies in .83–.86."""
    assert 0.83 <= item.critical_ratio <= 0.86
