"""A served forecast says what it rests on."""

import pandas as pd
import pytest

from salescast.features.point_in_time import build, past
from salescast.models import make
from salescast.release.issuing import issue
from tests.builders import FIRST, make_tables

LEVELS = [0.1, 0.5, 0.9]
CRITICAL = {"u1": 0.8, "u2": 0.8}
ORIGIN = FIRST + pd.Timedelta(days=150)


def served(tables, versions=("3", "abc.dir")):
    """Return the forecasts of a simple model from one origin."""
    rows = build(tables, [*pd.date_range(ORIGIN - pd.Timedelta(days=40), ORIGIN, freq="8D")])
    model = make("weekday_mean", {}, 1).fit(rows, past(tables, ORIGIN))
    return issue(model, rows[rows["origin"] == ORIGIN], LEVELS, CRITICAL, versions)


def test_each_series_has_one_receipt_of_its_own():
    """Two stores × two items: four receipts of fourteen days."""
    counts = served(make_tables())["receipt_id"].value_counts()
    assert counts.tolist() == [14, 14, 14, 14]


def test_the_same_forecast_has_the_same_receipt():
    """A retry changes nothing."""
    one, two = served(make_tables()), served(make_tables())
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize("versions", [("4", "abc.dir"), ("3", "xyz.dir")])
def test_another_model_or_data_version_has_another_receipt(versions):
    """The receipt names what the numbers rest on."""
    one, two = served(make_tables()), served(make_tables(), versions)
    assert not set(one["receipt_id"]) & set(two["receipt_id"])


def test_a_complete_forecast_is_not_degraded():
    """Every day has this morning's issue."""
    assert not any(served(make_tables())["degraded"])


def test_missing_weather_is_said_row_by_row():
    """Old issues first, then climatology."""
    tables = make_tables()
    issued = tables["weather_forecast"]
    late = ORIGIN - pd.Timedelta(days=4)
    tables["weather_forecast"] = issued[issued["issued_at"] < late]
    reasons = served(tables).query("store_id == 's1' and item_id == 'u1'")["degraded"].tolist()
    assert reasons == [["weather_issue_old"]] * 9 + [["weather_climatology"]] * 5
