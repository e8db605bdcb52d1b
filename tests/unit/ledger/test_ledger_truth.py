"""Messy truth ends in the same metrics: late, double, out of order, revised, from anywhere."""

from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from salescast.errors import DataQualityError
from salescast.evaluation.backtest import outcomes
from salescast.ledger.ledger import Ledger
from salescast.monitoring.live_scores import live_scorecard
from salescast.ordering.orders import unit_costs
from tests.builders import make_items

SERIES, DAYS = 50, 200
FIRST = pd.Timestamp("2024-01-01")
DAY = pd.Timedelta(days=1)
LEVELS = ("p10", "p50", "p90")


@pytest.fixture
def url(tmp_path):
    """URL of a ledger that does not exist yet."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def make_served():
    """Return 10,000 forecasts a day ahead: 50 stores × 200 days."""
    rng = np.random.default_rng(1)
    days = FIRST + np.arange(DAYS) * DAY
    count = SERIES * DAYS
    mean = rng.gamma(4.0, 2.0, count)
    rows = {
        "receipt_id": [f"r{i}" for i in range(count)],
        "store_id": np.repeat([f"s{i}" for i in range(SERIES)], DAYS),
        "item_id": "u1",
        "origin": np.tile(days - DAY, SERIES),
        "date": np.tile(days, SERIES),
        "lead_time": 1,
        "issued_at": np.tile(days - DAY, SERIES),
        "mean": mean,
        **{name: mean * float(name[1:]) / 50 for name in LEVELS},
        "stock_target": mean * 1.4,
        "model_version": "1",
        "data_version": "abc.dir",
        "degraded": [[]] * count,
        "made_at": np.tile(days, SERIES),
    }
    moments = ["origin", "date", "issued_at", "made_at"]
    return pd.DataFrame(rows).astype(dict.fromkeys(moments, "datetime64[us]"))


def make_truth(served):
    """Return what was first told of each day, and later corrections of a tenth."""
    rng = np.random.default_rng(2)
    reported = served[["store_id", "item_id", "date"]].copy()
    reported["recorded_at"] = reported["date"] + pd.Timedelta(hours=23)
    reported["units"] = rng.poisson(served["mean"])
    reported["sold_out"] = pd.array(rng.random(len(reported)) < 0.1, dtype="boolean")
    revised = reported.sample(frac=0.1, random_state=3)
    revised = revised.assign(
        units=revised["units"] + 1, recorded_at=revised["recorded_at"] + 3 * DAY
    )
    return reported, revised


def metrics(ledger, served):
    """Return the live scorecard as the ledger knows it."""
    recorded = ledger.outcomes()
    truth = recorded.assign(demand=recorded["units"].astype(float), rain_probability=0.0)
    costs = unit_costs(make_items(1))
    scored = outcomes(ledger.forecasts().assign(model="live"), truth, costs)
    return live_scorecard(served, scored, [0.1, 0.5, 0.9])


def test_ten_thousand_messy_outcomes_score_bit_for_bit_like_orderly_ones(url):
    """In pieces, shuffled, doubled, corrections before what they correct."""
    served = make_served()
    reported, revised = make_truth(served)
    last = pd.concat([reported, revised]).drop_duplicates(
        ["store_id", "item_id", "date"], keep="last"
    )
    with Ledger("sqlite://") as orderly:
        orderly.record_forecasts(served)
        orderly.record_outcomes(last.sort_values(["date", "store_id"]))
        expected = metrics(orderly, served)
    messy = pd.concat([revised, reported, reported.sample(frac=0.3, random_state=4)])
    with Ledger(url) as ledger:
        ledger.record_forecasts(served.sample(frac=1.0, random_state=5))
        for part in np.array_split(np.random.default_rng(6).permutation(len(messy)), 7):
            ledger.record_outcomes(messy.iloc[part])
        assert metrics(ledger, served) == expected


def test_an_outcome_nobody_forecast_is_kept_and_scores_nothing(url):
    """Its forecast may still come; until then it is no error."""
    served = make_served().head(10)
    reported, _ = make_truth(served)
    with Ledger(url) as ledger:
        ledger.record_forecasts(served)
        ledger.record_outcomes(reported.assign(store_id="unheard of"))
        assert metrics(ledger, served)["matured"] == 0.0


@pytest.mark.parametrize("units", [-1.0, float("nan"), 2.5])
def test_an_impossible_correction_is_refused_and_the_first_word_stays(url, units):
    """Negative, missing or half units: nothing of the lot is written."""
    reported, revised = make_truth(make_served().head(200))
    wrong = revised.astype({"units": "float64"}).assign(units=units)
    with Ledger(url) as ledger:
        ledger.record_outcomes(reported)
        before = ledger.outcomes()
        with pytest.raises(DataQualityError, match="whole number"):
            ledger.record_outcomes(wrong)
        pd.testing.assert_frame_equal(ledger.outcomes(), before)


def test_a_clock_that_steps_back_does_not_undo_a_correction(url):
    """What was recorded later counts, whenever it arrives."""
    reported, revised = make_truth(make_served().head(200))
    with Ledger(url) as ledger:
        ledger.record_outcomes(pd.concat([reported, revised]))
        before = ledger.outcomes()
        late = revised.assign(units=99, recorded_at=revised["recorded_at"] - 2 * DAY)
        ledger.record_outcomes(late)
        pd.testing.assert_frame_equal(ledger.outcomes(), before)


ZONES = (
    "Europe/London",
    "America/Los_Angeles",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
)


@pytest.mark.parametrize("zone", ZONES)
def test_each_local_business_day_is_one_row_through_clock_changes_and_leap_days(url, zone):
    """A shop closes at 23:00 its time, on each of 366 days; the ledger has 366, in order."""
    days = pd.date_range("2024-01-01", "2024-12-31")
    closes = [
        pd.Timestamp(day.year, day.month, day.day, 23, tzinfo=ZoneInfo(zone))
        .tz_convert("UTC")
        .tz_localize(None)
        for day in days
    ]
    rows = pd.DataFrame({"store_id": "s1", "item_id": "u1", "date": days, "recorded_at": closes})
    rows = rows.assign(units=range(366), sold_out=pd.array([False] * 366, dtype="boolean"))
    with Ledger(url) as ledger:
        ledger.record_outcomes(rows)
        ledger.record_outcomes(rows)
        kept = ledger.outcomes()
    assert list(kept["date"]) == list(days)
    assert list(kept["units"]) == list(range(366))
