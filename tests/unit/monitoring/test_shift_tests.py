"""Outcomes that differ from their forecasts are found, and where."""

import numpy as np
import pandas as pd
import pytest

from salescast.monitoring import shift_tests
from salescast.monitoring.alarms import Limits

LIMITS = Limits(9.5, 0.3, 0.05, 14, 91, 14, 28)
TODAY = pd.Timestamp("2025-03-01")
DAY = pd.Timedelta(days=1)


def make_news(days=30, each=0.5):
    """Return daily news of two places, `each` for the first and −0.5 for the second."""
    dates = pd.date_range(TODAY - (days - 1) * DAY, TODAY)
    parts = [
        pd.DataFrame({"date": dates, "location_id": place, "item_id": "u1", "log_ratio": news})
        for place, news in (("here", each), ("there", -0.5))
    ]
    return pd.concat(parts).assign(rain_probability=0.0, expected=10.0, variance=30.0)


def make_scored(units, days=40):
    """Return forecasts of 0 … 8 with the median 4, and `units` sold on each of 10 series."""
    dates = np.repeat(pd.date_range(TODAY - (days - 1) * DAY, TODAY), 10)
    levels = {f"p{10 * i}": float(i - 1) for i in range(1, 10)}
    return pd.DataFrame({"date": dates, **levels, "units": units, "sold_out": False})


def test_a_change_in_one_place_is_found_where_it_happens():
    """The whole chain says nothing while one city loses its customers."""
    (found,) = shift_tests.demand_shift({-0.3: make_news()}, LIMITS)
    assert found["name"] == "demand_shift"
    assert found["subject"] == "in here"
    assert found["evidence"]["since"] == f"{TODAY - 29 * DAY:%Y-%m-%d}"


def test_without_news_there_is_no_shift():
    """Days that say nothing alarm nobody."""
    assert shift_tests.demand_shift({-0.3: make_news(each=-0.1)}, LIMITS) == []


def test_outcomes_on_one_side_of_the_forecasts_are_a_bias():
    """Every outcome above the median, for forty days."""
    rng = np.random.default_rng(1)
    found = shift_tests.forecast_alarms(make_scored(rng.integers(6, 9, 400)), LEVELS, 0.8, LIMITS)
    assert [a["name"] for a in found if a["severity"] == "page"] == ["forecast_bias"]


def test_outcomes_as_forecast_alarm_nobody():
    """A year of outcomes drawn from the forecasts themselves."""
    drawn = np.random.default_rng(2).integers(-1, 9, 3650)
    assert shift_tests.forecast_alarms(make_scored(drawn, 365), LEVELS, 0.9, LIMITS) == []


LEVELS = [f"p{10 * i}" for i in range(1, 10)]


def test_a_day_sold_out_speaks_only_of_what_was_above():
    """Its rank is the middle of what is left, and it was held as likely as that says."""
    scored = make_scored(4, days=1).assign(sold_out=True)
    rank = shift_tests.ranks(scored, LEVELS)
    assert rank == pytest.approx(np.full(10, 0.75))
    assert shift_tests.inside_interval(scored, rank, 0.8) == pytest.approx(np.full(10, 0.8))


def make_served(days=56, shift=1.0, since=35, seed=1):
    """Return a day's-ahead forecasts of two places of eight series, and what was sold there."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range(TODAY - (days - 1) * DAY, TODAY)
    rows = pd.MultiIndex.from_product([dates, ["here", "there"], range(8)]).to_frame(index=False)
    rows.columns = ["date", "location_id", "series"]
    weather = rng.gamma(25, 1 / 25, (days, 2))[rows["date"].factorize()[0], rows["series"] % 2]
    factor = np.where((rows["location_id"] == "here") & (rows["date"] >= dates[since]), shift, 1.0)
    drawn = rng.poisson(12 * rng.gamma(25, 1 / 25, (4000, 1)), (4000, 1))[:, 0]
    levels = {f"p{10 * i}": float(np.quantile(drawn, i / 10)) for i in range(1, 10)}
    units = rng.poisson(12 * weather * factor)
    return rows.assign(**levels, units=units, sold_out=False, rain_probability=0.0, item_id="u1")


@pytest.mark.parametrize("shift", [0.6, 1.5])
def test_any_models_forecasts_show_a_shift_in_one_place(shift):
    """Without knowing how the model came to them."""
    (found,) = shift_tests.rank_shift(make_served(shift=shift), LEVELS, LIMITS)
    assert found["name"] == "demand_shift"
    assert found["subject"] == "in here"
    assert abs(pd.Timestamp(found["evidence"]["since"]) - (TODAY - 20 * DAY)) <= 7 * DAY


def test_calm_forecasts_of_any_model_alarm_nobody():
    """Twenty stretches of eight weeks."""
    found = [shift_tests.rank_shift(make_served(seed=s), LEVELS, LIMITS) for s in range(20)]
    assert found.count([]) == 20


def test_a_few_days_of_forecasts_are_not_tested():
    """How much they vary from day to day is not known yet."""
    assert shift_tests.rank_shift(make_served(days=20, since=1, shift=3.0), LEVELS, LIMITS) == []
