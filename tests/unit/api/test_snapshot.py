"""What is made once is answered from, and every number survives."""

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.forecast_schemas import Forecasts
from api.snapshot import forecast_chunks
from salescast.contract.schema import empty
from tests.builders import make_tables
from tests.serving import LEVELS, ORIGIN, make_forecasts, small_snapshot, snapshot_of

TWO = [("s2", "u1"), ("s1", "u2")]


@pytest.fixture(scope="module")
def snapshot():
    """One snapshot for all: it never changes."""
    return small_snapshot()


def read(snapshot, keys=TWO, horizon=14, quantiles=LEVELS):
    """Return the answer, parsed."""
    return json.loads(b"".join(forecast_chunks(snapshot, keys, horizon, quantiles)))


def test_the_answer_keeps_the_order_asked_for(snapshot):
    """A caller may zip the answer with what was asked."""
    keys = [(one["store_id"], one["item_id"]) for one in read(snapshot)["forecasts"]]
    assert keys == TWO


def test_the_answer_is_what_the_schema_promises(snapshot):
    """The bytes made by hand are the documented model."""
    Forecasts.model_validate(read(snapshot), strict=True, extra="forbid")


@given(st.lists(st.floats(0, 1e9), min_size=14, max_size=14))
def test_every_float_reads_back_bit_for_bit(values):
    """JSON loses nothing, whatever the numbers."""
    made = MADE.assign(mean=values)
    body = read(snapshot_of(made, TABLES), [("s1", "u1")])
    assert [day["mean"] for day in body["forecasts"][0]["days"]] == values


MADE, TABLES = make_forecasts()
MADE = MADE.query("store_id == 's1' and item_id == 'u1'")


def test_a_shorter_horizon_is_the_beginning_of_the_whole(snapshot):
    """Asking for less changes no number and no receipt."""
    short, whole = read(snapshot, horizon=3), read(snapshot)
    for one in whole["forecasts"]:
        one["days"] = one["days"][:3]
    assert short == whole


def test_only_the_quantiles_asked_for_are_answered(snapshot):
    """In the order they were asked for."""
    days = read(snapshot, quantiles=[0.9, 0.1])["forecasts"][0]["days"]
    assert {tuple(day["quantiles"]) for day in days} == {("p90", "p10")}


def make_old_issues():
    """Return a snapshot whose last weather issue is four days old."""
    issued = make_tables()["weather_forecast"]
    late = ORIGIN - pd.Timedelta(days=3)
    return small_snapshot(weather_forecast=issued[issued["issued_at"] < late])


def test_the_answer_says_what_it_had_to_do_without():
    """An old issue, and beyond its reach climatology."""
    body = read(make_old_issues())
    assert body["degraded"] == ["weather_climatology", "weather_issue_old"]
    assert body["weather_issued_at"] == f"{ORIGIN - pd.Timedelta(days=4):%Y-%m-%d}"


def test_days_left_out_degrade_nothing():
    """The first days still have an issue, though an old one."""
    assert read(make_old_issues(), horizon=2)["degraded"] == ["weather_issue_old"]


def test_no_issue_at_all_is_null():
    """Climatology has no day of issue."""
    body = read(small_snapshot(weather_forecast=empty("weather_forecast")))
    assert body["weather_issued_at"] is None
    assert {day["issued_at"] for day in body["forecasts"][0]["days"]} == {None}


def test_series_are_listed_by_key_with_names_and_places(snapshot):
    """A planner reads names, not ids."""
    first = snapshot.series[0]
    assert len(snapshot.series) == 4
    assert (first["store_id"], first["item_id"]) == ("s1", "u1")
    assert (first["store_name"], first["item_name"], first["location_id"]) == (
        "S1",
        "umbrella",
        "p1",
    )
    assert first["sold_per_day"] > 0
