"""Timestamps become the business day of their place."""

import pandas as pd
import pytest

from salescast.data.preparation import local_days, prepare
from tests.builders import make_sales, make_stores

BERLIN, ANGELES = "Europe/Berlin", "America/Los_Angeles"


def days_of(values: list[object], zone: str | None) -> list[str]:
    """Return the days that `local_days` reads."""
    read = local_days(pd.Series(values), pd.Series([zone] * len(values), dtype="object"))
    return [str(value)[:10] for value in read]


@pytest.mark.parametrize(
    ("values", "zone", "expected"),
    [
        (["2025-01-02", "2025-01-03"], BERLIN, ["2025-01-02", "2025-01-03"]),
        (
            ["2025-01-02T00:00:00+01:00", "2025-07-02 00:00+0200"],
            BERLIN,
            ["2025-01-02", "2025-07-02"],
        ),
        (["2025-01-02T00:00:00Z", "2025-01-03T00:00:00Z"], ANGELES, ["2025-01-02", "2025-01-03"]),
        (["2025-01-01T23:00:00Z", "2025-07-01T22:00:00Z"], BERLIN, ["2025-01-02", "2025-07-02"]),
        (["2025-01-01 23:00:00", "2025-07-01 22:00:00"], BERLIN, ["2025-01-02", "2025-07-02"]),
        (["2025-01-02 23:30:00", "2025-01-03 22:10:00"], BERLIN, ["2025-01-02", "2025-01-03"]),
        (["2025-01-02 08:00:00Z", "2025-01-03 07:30:00Z"], ANGELES, ["2025-01-02", "2025-01-02"]),
        (["2025-01-01T23:00:00Z"], None, ["2025-01-01"]),
        (["2025-01-01T23:00:00Z"], "Mars/Phobos", ["2025-01-01"]),
        ([pd.Timestamp("2025-01-02", tz=BERLIN)], BERLIN, ["2025-01-02"]),
        ([pd.Timestamp("2025-01-01 23:00", tz="UTC")], BERLIN, ["2025-01-02"]),
    ],
)
def test_a_timestamp_falls_on_the_day_of_its_place(values, zone, expected):
    """Midnights keep their date in whatever zone they are written; moments take the place's."""
    assert days_of(values, zone) == expected


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata", "Pacific/Apia"]
)
def test_local_midnights_keep_their_date_all_year_round(zone):
    """As a zone of their own, as UTC with a Z, and as UTC without one."""
    dates = pd.date_range("2024-01-01", "2024-12-31").tz_localize(zone, nonexistent="shift_forward")
    expected = [f"{day:%Y-%m-%d}" for day in dates]
    utc = dates.tz_convert("UTC")

    assert days_of([*dates], zone) == expected
    assert days_of([stamp.isoformat() for stamp in dates], zone) == expected
    assert days_of([f"{stamp:%Y-%m-%dT%H:%M:%SZ}" for stamp in utc], zone) == expected
    assert days_of([f"{stamp:%Y-%m-%d %H:%M:%S}" for stamp in utc], zone) == expected


def test_each_row_takes_the_zone_of_its_own_store():
    """One file of a chain in two countries."""
    raw = make_sales(1, stores=2, items=1).astype("object")
    raw["date"] = ["2025-01-01T23:00:00Z", "2025-01-02T08:00:00Z"]

    rows = prepare("sales", raw, "x", zones={"s1": BERLIN, "s2": ANGELES})

    assert rows["date"].tolist() == [pd.Timestamp("2025-01-02")] * 2


@pytest.mark.parametrize(
    ("given", "country"), [("gb", "GB"), (" De ", "DE"), ("DE-BY", "DE"), ("Germany", "Germany")]
)
def test_a_country_is_a_code_in_capitals(given, country):
    """What is no code stays as it is, for the check that names it."""
    assert prepare("stores", make_stores(1, country=given), "x")["country"][0] == country


def test_what_may_be_absent_is_filled():
    """No promotions, no moments: the documentation says what that costs."""
    raw = make_sales(2).drop(columns=["promo", "recorded_at", "sold_out"])
    rows = prepare("sales", raw, "x")
    assert not rows["promo"].any()
    assert rows["recorded_at"].isna().all()
