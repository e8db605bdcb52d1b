"""The contract: what conforms, what was known when, and what is said of a row that does not."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salescast.contract.conform import conform
from salescast.contract.schema import TABLES, as_of, close_of, empty, known_by, last_day, latest
from salescast.errors import DataQualityError
from tests.builders import FIRST, make_items, make_sales, make_stores, make_tables

moments = st.datetimes(pd.Timestamp("2023-01-01"), pd.Timestamp("2023-12-31"))


@st.composite
def sales(draw: st.DrawFn) -> pd.DataFrame:
    """Draw sales of few series and days, told at any time, corrected at any time."""
    count = draw(st.integers(0, 30))
    pick = st.lists(st.integers(0, 2), min_size=count, max_size=count)
    rows = {
        "store_id": [f"s{i}" for i in draw(pick)],
        "item_id": [f"u{i}" for i in draw(pick)],
        "date": [FIRST + pd.Timedelta(days=i) for i in draw(pick)],
        "units": draw(st.lists(st.integers(0, 99), min_size=count, max_size=count)),
        "price": 10.0,
        "promo": draw(st.lists(st.booleans(), min_size=count, max_size=count)),
        "sold_out": draw(st.lists(st.sampled_from([True, None]), min_size=count, max_size=count)),
        "recorded_at": draw(st.lists(moments, min_size=count, max_size=count)),
    }
    return conform("sales", pd.DataFrame(rows))


@settings(max_examples=30)
@given(sales(), moments)
def test_as_of_holds_what_was_known_and_nothing_later(rows, moment):
    """No row known after the close, and none left out that was known before."""
    seen = as_of({"sales": rows}, moment)["sales"]

    known = rows["recorded_at"] < close_of(moment)
    assert (seen["recorded_at"] < close_of(moment)).all()
    assert len(seen) == known.sum()


@settings(max_examples=30)
@given(sales())
def test_latest_is_the_last_word_on_each_key(rows):
    """One row a key, and no row of that key came later."""
    last = latest("sales", rows)

    key = list(TABLES["sales"].key)
    newest = rows.groupby(key)["recorded_at"].max()
    assert not last.duplicated(key).any()
    assert last.set_index(key)["recorded_at"].sort_index().equals(newest.sort_index())


@settings(max_examples=30)
@given(sales())
def test_conforming_twice_changes_nothing(rows):
    """What conforms is left as it is."""
    pd.testing.assert_frame_equal(conform("sales", rows), rows)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_as_text_conforms_to_the_table(table):
    """CSV delivers text; the rows are the same."""
    rows = make_tables(5)[table]
    text = rows.astype("object").where(rows.notna(), None).map(lambda v: v and str(v))

    pd.testing.assert_frame_equal(conform(table, text.where(rows.notna())), rows)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_without_rows_has_the_contracts_dtypes(table):
    """Nothing stored still has columns."""
    pd.testing.assert_frame_equal(conform(table, empty(table)), empty(table))


def test_of_two_rows_known_at_the_same_moment_the_later_one_counts():
    """A tie goes to the row that came last."""
    twice = pd.concat([make_items(1), make_items(1, unit_price=12.0)])

    assert latest("items", twice)["unit_price"].item() == 12.0


@pytest.mark.parametrize(
    ("day", "close"),
    [("2024-02-28", "2024-02-29"), ("2024-12-31 23:59:59.999999", "2025-01-01")],
)
def test_a_day_closes_at_the_midnight_that_ends_it(day, close):
    """Whatever the hour, the close is the next midnight."""
    assert close_of(day) == pd.Timestamp(close)


def test_midnight_belongs_to_the_day_that_begins():
    """A row known at 00:00 of the next day was not known at the close."""
    rows = make_sales(1, stores=1, items=1, recorded_at=FIRST + pd.Timedelta(days=1))

    assert known_by("sales", rows, FIRST).empty
    assert len(known_by("sales", rows, FIRST + pd.Timedelta(days=1))) == 1


def test_the_last_day_is_the_newest_on_which_something_daily_became_known():
    """The plan, known long ahead, does not move it."""
    assert last_day(make_tables(20)) == FIRST + pd.Timedelta(days=19)


def test_no_data_have_no_last_day():
    """The message says what to run."""
    with pytest.raises(DataQualityError, match="salescast ingest"):
        last_day({name: empty(name) for name in TABLES})


def test_times_with_a_zone_are_taken_as_utc():
    """23:00 in New York is the next day's 04:00 in UTC."""
    rows = make_sales(1, stores=1, items=1).astype({"recorded_at": "object"})
    rows["recorded_at"] = "2023-01-02T23:00:00-05:00"

    assert conform("sales", rows)["recorded_at"].item() == pd.Timestamp("2023-01-03 04:00")


def test_further_columns_are_left_out_and_unknown_flags_stay_unknown():
    """The contract decides the columns; a nullable one may be missing."""
    rows = make_sales(1, stores=1, items=1).drop(columns="sold_out").assign(till="7")

    conformed = conform("sales", rows)

    assert list(conformed) == list(TABLES["sales"].names)
    assert conformed["sold_out"].isna().all()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("units", 1.5, r"orders\.csv: column units, row 2: 1\.5 is not a count"),
        ("units", None, r"column units, row 2: is missing, needed is a count \(units sold\)"),
        ("units", np.inf, "column units, row 2: inf"),
        ("price", "ten", "column price, row 2: 'ten' is not a number"),
        ("date", "yesterday", "column date, row 2: 'yesterday' is not a date"),
        ("promo", "maybe", "column promo, row 2: 'maybe' is not a flag"),
        ("sold_out", "maybe", "column sold_out, row 2: 'maybe' is not a flag"),
        ("store_id", None, "column store_id, row 2: is missing, needed is an id"),
        ("recorded_at", "25:00", "column recorded_at, row 2: '25:00' is not a moment"),
    ],
)
def test_a_value_of_another_kind_is_an_error_naming_column_and_row(column, value, message):
    """Source, column, row (1-based), value and meaning."""
    rows = make_sales(3, stores=1, items=1).astype("object")
    rows.loc[1, column] = value

    with pytest.raises(DataQualityError, match=message):
        conform("sales", rows, "orders.csv")


def test_a_missing_column_is_an_error_naming_all_that_are_needed():
    """What is missing, and what the table consists of."""
    rows = make_stores(1).drop(columns=["timezone", "country"])

    with pytest.raises(DataQualityError, match="timezone, country is missing; table stores needs"):
        conform("stores", rows)
