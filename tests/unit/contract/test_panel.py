"""Walking the origins shows at each what a look from scratch would show."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salescast.contract.conform import conform
from salescast.contract.panel import (
    KnownMatrices,
    day_number,
    day_numbers,
    distinct_rows,
    entity_rows,
    known_series,
)
from salescast.contract.schema import empty, known_by, latest
from salescast.errors import SalescastError
from tests.builders import FIRST, make_plan, make_sales

SERIES = pd.DataFrame({"store_id": ["s0", "s0", "s1"], "item_id": ["u0", "u1", "u0"]})
DAYS = 6


@st.composite
def known_rows(draw: st.DrawFn) -> pd.DataFrame:
    """Draw sales with late rows and corrections, some of strangers, some outside the days."""
    number = st.integers(0, 10)
    rows = draw(st.lists(st.tuples(number, number, number, number, number), max_size=40))
    frame = pd.DataFrame(rows, columns=["store", "item", "day", "units", "late"], dtype="int64")
    day = FIRST + pd.to_timedelta(frame["day"] - 2, unit="D")
    sales = {
        "store_id": "s" + (frame["store"] % 3).astype("str"),
        "item_id": "u" + (frame["item"] % 2).astype("str"),
        "date": day,
        "units": frame["units"],
        "price": 10.0,
        "promo": False,
        # Seconds tell ties apart, as real moments do.
        "recorded_at": day
        + pd.to_timedelta(frame["late"], unit="D")
        + pd.to_timedelta(frame.index, unit="s"),
    }
    return conform("sales", pd.DataFrame(sales))


def from_scratch(rows: pd.DataFrame, origin: pd.Timestamp) -> np.ndarray:
    """Return the units known at the close of `origin`, looked up one by one."""
    units = np.full((len(SERIES), DAYS), np.nan)
    last = latest("sales", known_by("sales", rows, origin))
    for row in last.itertuples():
        same = (SERIES["store_id"] == row.store_id) & (SERIES["item_id"] == row.item_id)
        day = (row.date - FIRST).days
        if same.any() and 0 <= day < DAYS:
            units[same.idxmax(), day] = row.units
    return units


def matrices(rows: pd.DataFrame) -> KnownMatrices:
    """Return the matrices of the three series over six days."""
    return KnownMatrices("sales", rows, SERIES, day_number(FIRST), DAYS)


@settings(max_examples=30)
@given(known_rows(), st.lists(st.integers(-3, 20), min_size=1, max_size=6))
def test_walking_origins_equals_a_look_from_scratch_at_each(rows, origins):
    """Late rows, corrections, strangers: at every origin the latest known row of each day."""
    known = matrices(rows)

    for day in sorted(origins):
        origin = FIRST + pd.Timedelta(days=day)
        known.advance(origin)
        np.testing.assert_array_equal(known["units"], from_scratch(rows, origin))


def test_the_day_on_which_a_row_became_known_is_kept():
    """A correction moves it."""
    first = make_sales(1, stores=1, items=1, store_id="s0", item_id="u0")
    late = first.assign(recorded_at=FIRST + pd.Timedelta(days=3, hours=5))
    known = matrices(pd.concat([first, late]))

    known.advance(FIRST)
    at_first = known["known_day"][0, 0]
    known.advance(FIRST + pd.Timedelta(days=3))

    assert (at_first, known["known_day"][0, 0]) == (day_number(FIRST), day_number(FIRST) + 3)


def test_unknown_flags_are_unknown_numbers():
    """A null flag becomes NaN, not False."""
    rows = make_sales(1, stores=1, items=1, store_id="s0", item_id="u0", sold_out=None)
    known = matrices(rows)

    known.advance(FIRST)

    assert np.isnan(known["sold_out"][0, 0])
    assert known["promo"][0, 0] == 0.0


def test_origins_that_fall_are_refused():
    """The matrices cannot forget."""
    known = matrices(make_sales(3, store_id="s0", item_id="u0", stores=1, items=1))
    known.advance(FIRST + pd.Timedelta(days=2))

    with pytest.raises(SalescastError, match="sort origins"):
        known.advance(FIRST)


def test_a_table_without_rows_is_unknown_everywhere():
    """No plan: NaN throughout."""
    known = KnownMatrices("plan", empty("plan"), SERIES, day_number(FIRST), DAYS)

    known.advance(FIRST)

    assert np.isnan(known["price"]).all()


def test_days_are_counted_from_1970():
    """Naive UTC days, also before 1970 and with an hour."""
    dates = np.array(["1969-12-31", "1970-01-01T23:59", "2000-03-01"], "datetime64[m]")
    assert day_numbers(dates).tolist() == [-1, 0, 11017]
    assert day_number(pd.Timestamp("1970-01-02 12:00")) == 1


def test_series_are_those_sold_or_planned():
    """A launch that is only planned is a series."""
    planned = make_plan(1, stores=1, items=2)

    found = known_series(make_sales(1, stores=1, items=1), planned)

    assert found.to_numpy().tolist() == [["s1", "u1"], ["s1", "u2"]]


@given(known_rows())
def test_distinct_rows_are_what_drop_duplicates_leaves(rows: pd.DataFrame) -> None:
    """In the order in which they first occur, and each row names its own."""
    key = ["store_id", "item_id"]
    met, which = distinct_rows(rows, key)
    pd.testing.assert_frame_equal(met, rows[key].drop_duplicates().reset_index(drop=True))
    pd.testing.assert_frame_equal(met.iloc[which].reset_index(drop=True), rows[key])


@given(known_rows())
def test_each_row_finds_its_entity(rows: pd.DataFrame) -> None:
    """As pandas finds it; a stranger finds none."""
    pairs = pd.MultiIndex.from_frame(rows[["store_id", "item_id"]])
    expected = pd.MultiIndex.from_frame(SERIES).get_indexer(pairs)
    assert entity_rows(SERIES, rows).tolist() == expected.tolist()


def test_ids_that_never_come_twice_take_no_more_than_their_rows() -> None:
    """A column of receipt numbers instead of items: no room is made for pairs nobody told."""
    rows = pd.DataFrame({name: pd.Series(range(200_000)).astype("str") for name in ("a", "b")})
    met, which = distinct_rows(rows, ["a", "b"])
    assert len(met) == 200_000
    assert which.tolist() == list(range(200_000))
