"""Each fault touches its own table, from its day on, and nothing else."""

import numpy as np
import pandas as pd
import pytest

from godatamarkets import Retailer
from godatamarkets.faults import KINDS
from tests.unit.godatamarkets.builders import digest, half_year, retailer

TOUCHES = {
    "new_store": {"stores", "sales", "plan", "stock"},
    "sensitivity_shift": {"sales", "stock"},
    "competitor": {"sales", "stock"},
    "forecast_upgrade": {"weather_forecast"},
    "feed_outage": {"weather_forecast"},
    "gauge_stuck": {"weather_observed"},
    "gauge_unit": {"weather_observed"},
}
START = pd.Timestamp("2022-03-01")


def changed(name: str) -> pd.DataFrame:
    """Return the sales of London with and without a fault, side by side."""
    keys = ["store_id", "item_id", "date"]
    sales = (half_year(*fault)["sales"] for fault in ((), (f"{name}@2022-03-01",)))
    plain, faulty = (rows[rows["store_id"].str.startswith("london")] for rows in sales)
    return plain.merge(faulty, on=keys, how="outer", suffixes=("", "_faulty"))


@pytest.mark.parametrize("name", KINDS)
def test_a_fault_changes_its_own_tables_alone(name: str):
    """All other tables stay as they are, to the byte."""
    plain, faulty = half_year(), half_year(f"{name}@2022-03-01")
    differ = {table for table in plain if digest({"": plain[table]}) != digest({"": faulty[table]})}
    assert differ == TOUCHES.get(name, {"sales"})


@pytest.mark.parametrize("name", KINDS)
def test_a_fault_changes_nothing_before_its_day(name: str):
    """What was delivered up to two weeks before is untouched (a new store is known by then)."""
    before = START - pd.Timedelta(days=15)
    plain, faulty = (
        retailer("small", 7, *f).deliver("2022-01-03", before)
        for f in ((), (f"{name}@2022-03-01",))
    )
    assert digest(plain) == digest(faulty)


@pytest.mark.parametrize(
    "name", sorted(set(KINDS) - {"new_store", "sensitivity_shift", "competitor"})
)
def test_broken_data_leave_demand_and_stock_alone(name: str):
    """Faults of data act on what is delivered, never on what customers want."""
    plain, faulty = retailer(), retailer("small", 7, f"{name}@2022-03-01")
    assert (plain.demand.units == faulty.demand.units).all()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("flood@2022-03-01", "known are new_store"),
        ("gauge_unit", "needs @YYYY-MM-DD"),
        ("gauge_unit@2022-13-01", "needs @YYYY-MM-DD"),
        ("gauge_unit@2021-01-01", "from 2022-01-03 on"),
        ("gauge_unit@2022-03-01:place=london", "known are location, days"),
        ("gauge_unit@2022-03-01:location=lyon", "known are london, seattle, glasgow, all"),
        ("item_case_split@2022-03-01:item=u6", "known are u1, u2"),
        ("gauge_unit@2022-03-01:days=ten", "is not a number"),
        ("gauge_unit@2022-03-01:days=-3", "must not be negative"),
        ("negative_units@2022-03-01:share=2", "must lie between 0 and 1"),
    ],
)
def test_a_misspelt_fault_is_refused_with_what_is_known(text: str, reason: str):
    """The message names the fault and the choices."""
    with pytest.raises(ValueError, match=r"^fault ") as error:
        Retailer("small", faults=[text])
    assert reason in str(error.value)


def test_a_new_store_is_known_two_weeks_ahead():
    """It is announced with its plan, then opens with stock and sells."""
    tables = half_year("new_store@2022-03-01:location=seattle")
    store = tables["stores"].iloc[-1]
    assert (store["store_id"], store["opened_on"]) == ("seattle-4", START)
    assert store["recorded_at"] == START - pd.Timedelta(days=14)
    for table in ("sales", "plan", "stock"):
        rows = tables[table]
        assert rows.loc[rows["store_id"] == "seattle-4", "date"].min() == START


def test_shifted_customers_feel_rain_half_as_much():
    """The factor on wet days halves, the amount of rain counts as before."""
    plain, shifted = retailer(), retailer("small", 7, "sensitivity_shift@2022-03-01")
    day = (START - pd.Timestamp("2022-01-03")).days
    ratio = shifted.demand.response[0] / plain.demand.response[0]
    assert (ratio[:, :day] == 1).all()
    assert (ratio[:, day:] == 0.5).all()
    assert (shifted.demand.response[1:] == plain.demand.response[1:]).all()


def test_a_competitor_takes_a_third_of_london():
    """The log rate falls by .4 there, for good."""
    plain, rival = retailer(), retailer("small", 7, "competitor@2022-03-01:days=30")
    lost = plain.demand.calendar - rival.demand.calendar
    london = plain.series.city == 0
    assert np.allclose(lost[london][:, 57:87], 0.4)
    assert np.allclose(lost.sum(), 0.4 * 30 * london.sum())


def test_an_upgraded_forecast_is_better_and_still_honest():
    """Lead 1 of the same weather gains skill; its chances stay reliable."""
    plain, better = retailer(), retailer("small", 7, "forecast_upgrade@2022-01-03")
    wet = plain.weather.precip[:, 6:] >= 1
    chances = [r.weather.issued_chance[:, :-1, 1] for r in (plain, better)]
    before, after = (((chance - wet) ** 2).mean() for chance in chances)
    assert after < 0.7 * before
    middle = (chances[1] > 0.2) & (chances[1] < 0.8)
    assert wet[middle].mean() == pytest.approx(chances[1][middle].mean(), abs=0.06)


def test_no_issue_comes_during_an_outage():
    """For five days nothing is issued, anywhere."""
    issued = half_year("feed_outage@2022-03-01")["weather_forecast"]["issued_at"].dt.normalize()
    missing = set(pd.date_range("2022-01-03", "2022-06-30")) - set(issued)
    assert missing == set(pd.date_range(START, periods=5))


def test_a_stuck_gauge_reads_no_rain_for_three_weeks():
    """London reads zero for 21 days, other cities read on."""
    rows = half_year("gauge_stuck@2022-03-01")["weather_observed"]
    stuck = rows["date"].between(START, START + pd.Timedelta(days=20))
    london = rows["location_id"] == "london"
    assert (rows.loc[stuck & london, "precip_mm"] == 0).all()
    assert (rows.loc[stuck & ~london, "precip_mm"] > 0).any()


def test_a_gauge_in_inches_reads_a_25th():
    """Millimetres arrive as inches."""
    plain, inches = (
        half_year(*f)["weather_observed"].query("location_id == 'london' and date >= '2022-03-01'")
        for f in ((), ("gauge_unit@2022-03-01:days=0",))
    )
    assert np.allclose(inches["precip_mm"], plain["precip_mm"] / 25.4, atol=0.005)


def test_prices_in_pence_are_a_hundred_times_too_high():
    """For two weeks the tills report pence."""
    rows = changed("currency_unit")
    wrong = rows["price"] != rows["price_faulty"]
    assert np.allclose(rows.loc[wrong, "price_faulty"], 100 * rows.loc[wrong, "price"])
    assert set(rows.loc[wrong, "date"]) == set(pd.date_range(START, periods=14))


def test_late_sales_come_three_days_late():
    """Dates and units are right, the moments are not."""
    rows = changed("late_sales")
    late = rows["recorded_at"] != rows["recorded_at_faulty"]
    assert (rows["units"] == rows["units_faulty"]).all()
    assert ((rows["recorded_at_faulty"] - rows["recorded_at"])[late] == pd.Timedelta(days=3)).all()
    assert set(rows.loc[late, "date"]) == set(pd.date_range(START, periods=7))


def test_duplicates_repeat_a_key_within_a_delivery():
    """Some rows of one day come twice, alike."""
    rows = retailer("small", 7, "duplicate_rows@2022-03-01:share=.5").deliver(START)["sales"]
    assert 0 < rows.duplicated(["store_id", "item_id", "date"]).sum() < 18
    assert rows.duplicated().sum() == len(rows) - 18


def test_a_shifted_time_zone_dates_rows_a_day_early():
    """Rows come a day after their date, and the first ones collide with the day before."""
    rows = half_year("timezone_shift@2022-03-01")["sales"]
    late = (rows["recorded_at"] - rows["date"]) > pd.Timedelta(days=1)
    assert set(rows.loc[late, "date"]) == set(pd.date_range("2022-02-28", periods=14))
    assert rows.duplicated(["store_id", "item_id", "date"]).sum() == 6
    assert START + pd.Timedelta(days=13) not in set(
        rows.loc[rows["store_id"].str.startswith("london"), "date"]
    )


def test_shifted_weekdays_look_right_but_for_their_numbers():
    """Keys and moments are the plain ones; each date has the units of the day before."""
    rows = changed("weekday_label_shift")
    before = rows.assign(date=rows["date"] + pd.Timedelta(days=1))
    pairs = rows.merge(before, on=["store_id", "item_id", "date"], suffixes=("", "_before"))
    span = pairs["date"].between(START, START + pd.Timedelta(days=27))
    assert (rows["recorded_at"] == rows["recorded_at_faulty"]).all()
    assert (pairs["units_faulty"] == pairs["units_before"])[span].all()
    assert (pairs["units_faulty"] == pairs["units"])[~span].all()


def test_an_item_is_split_between_two_spellings():
    """About half of its rows carry the capital; the units are right."""
    plain, split = half_year()["sales"], half_year("item_case_split@2022-03-01")["sales"]
    upper = split["item_id"] == "U2"
    assert upper.sum() == pytest.approx(28 * 9 / 2, rel=0.25)
    assert (split["item_id"].str.lower() == plain["item_id"]).all()
    assert (split["units"] == plain["units"]).all()


def test_a_truncated_file_ends_early():
    """The day keeps its first 40 % of rows."""
    plain = retailer().deliver(START)["sales"]
    cut = retailer("small", 7, "truncated_file@2022-03-01").deliver(START)["sales"]
    pd.testing.assert_frame_equal(cut, plain.iloc[:8])


def test_some_units_turn_negative():
    """Returns booked as sales: a few rows below zero."""
    rows = half_year("negative_units@2022-03-01:share=.2")["sales"]
    assert (rows["units"] < 0).sum() == pytest.approx(0.2 * 7 * 18, rel=0.6)


def test_tills_that_were_mended_may_break_again():
    """Mending one fault does not call off those that come later."""
    first, later = "truncated_file@2022-03-01", "currency_unit@2022-04-01:location=london"
    broken, sound = Retailer("small", 7, [first, later]), Retailer("small", 7)
    broken.mend(pd.Timestamp("2022-03-03"))

    deliveries = {
        day: broken.deliver(pd.Timestamp(day))["sales"] for day in ("2022-03-01", "2022-04-02")
    }

    assert deliveries["2022-03-01"].equals(sound.deliver(pd.Timestamp("2022-03-01"))["sales"])
    assert not deliveries["2022-04-02"].equals(sound.deliver(pd.Timestamp("2022-04-02"))["sales"])
