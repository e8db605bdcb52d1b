"""A delivery is settled: every row gets the moment it became known, and none is lost."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salescast.contract.conform import conform
from salescast.contract.schema import TABLES, as_of, close_of, latest
from salescast.data.delivery import ALWAYS_KNOWN, new_rows
from tests.builders import make_items, make_plan, make_sales, make_stores

DAY = pd.Timedelta(days=1)
LATER = pd.Timestamp("2030-01-01")
FIRST_LOAD = pd.Timestamp("2023-01-10")


def silent(table: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows without the moment they became known."""
    return rows.assign(**{TABLES[table].known_at: pd.NaT}).astype({"recorded_at": "datetime64[us]"})


def load(delivery: dict, stored: dict, until: pd.Timestamp, now: pd.Timestamp = LATER) -> dict:
    """Return what is stored after a delivery of rows without moments."""
    delivered = {name: silent(name, rows) for name, rows in delivery.items()}
    since = min((rows["recorded_at"].max() for rows in stored.values()), default=None)
    news = new_rows(delivered, stored, (since, until), now).tables
    return {name: pd.concat([stored.get(name), rows]) for name, rows in news.items()}


def test_a_first_load_was_known_as_each_day_ended():
    """So a model can be examined on the days before it; stores and items were always known."""
    stored = load({"sales": make_sales(5), "stores": make_stores()}, {}, FIRST_LOAD)

    assert (
        stored["sales"]["recorded_at"] == stored["sales"]["date"] + DAY - pd.Timedelta("1s")
    ).all()
    assert (stored["stores"]["recorded_at"] == ALWAYS_KNOWN).all()


def test_a_second_delivery_of_the_same_rows_is_no_news():
    """Delivering twice is harmless."""
    stored = load({"sales": make_sales(5)}, {}, FIRST_LOAD)

    assert len(load({"sales": make_sales(5)}, stored, FIRST_LOAD + DAY)["sales"]) == len(
        stored["sales"]
    )


def test_late_days_of_a_store_become_known_by_the_delivery_that_brings_them():
    """They are stored, and no forecast of an earlier day has seen them."""
    sales = make_sales(5)
    late = (sales["store_id"] == "s2") & (sales["date"] >= sales["date"].max() - DAY)
    stored = load({"sales": sales[~late]}, {}, FIRST_LOAD)

    stored = load({"sales": sales}, stored, FIRST_LOAD + DAY)

    before = as_of(stored, FIRST_LOAD - DAY)["sales"]
    assert len(stored["sales"]) == len(sales)
    assert len(before) == len(sales[~late])


@pytest.mark.parametrize("again", [0, 1])
def test_a_corrected_day_is_known_from_the_correction_on(again):
    """Its latest value is the corrected one, even where it comes within the same day."""
    sales = make_sales(5)
    corrected = sales.assign(units=sales["units"].where(sales.index != 3, 99))
    stored = load({"sales": sales}, {}, FIRST_LOAD)

    stored = load({"sales": corrected}, stored, FIRST_LOAD + again * DAY)

    assert len(stored["sales"]) == len(sales) + 1
    assert latest("sales", stored["sales"])["units"].max() == 99
    assert stored["sales"]["recorded_at"].max() < FIRST_LOAD + again * DAY


@pytest.mark.parametrize("change", [{"pack_size": 6}, {"unit_price": 12.0}, {"name": "new"}])
def test_a_changed_item_is_known_from_its_change_on(change):
    """Price, pack size or name of yesterday stay what they were yesterday."""
    stored = load({"items": make_items(2)}, {}, FIRST_LOAD)

    stored = load({"items": make_items(2, **change)}, stored, FIRST_LOAD + DAY)

    assert len(stored["items"]) == 4
    assert len(as_of(stored, FIRST_LOAD - DAY)["items"]) == 2


def test_a_new_store_with_its_history_becomes_known_now():
    """Nobody could have forecast with it before."""
    stored = load({"sales": make_sales(5, stores=1)}, {}, FIRST_LOAD)

    stored = load({"sales": make_sales(5, stores=2)}, stored, FIRST_LOAD + DAY)

    assert len(stored["sales"]) == len(make_sales(5, stores=2))
    assert set(as_of(stored, FIRST_LOAD - DAY)["sales"]["store_id"]) == {"s1"}


def test_rows_that_say_when_they_became_known_but_come_late_become_known_now():
    """A till's own clock does not make them known to us in the past."""
    sales = make_sales(5)
    held_back = sales["store_id"] == "s2"
    stored = {"sales": sales[~held_back]}
    since, until = sales["recorded_at"].max(), close_of(sales["date"].max() + 3 * DAY)

    news = new_rows({"sales": sales}, stored, (since, until), LATER).tables["sales"]

    old = news["date"] < sales["date"].max()
    assert set(news["store_id"]) == {"s2"}
    assert (news["recorded_at"][old] == until - pd.Timedelta("1s")).all()


def test_the_rows_of_an_ordinary_delivery_stay_as_they_are():
    """Moments inside the window are the deliverer's own."""
    sales = make_sales(5)
    window = (sales["recorded_at"].min(), FIRST_LOAD)

    kept = new_rows({"sales": sales}, {}, window, LATER).tables["sales"]

    pd.testing.assert_frame_equal(kept, sales)


@pytest.mark.parametrize(
    ("zone", "now", "waiting"),
    [
        ("Europe/London", "2023-01-06 12:00", 1),
        ("Europe/London", "2023-01-07 00:00", 0),
        ("America/Los_Angeles", "2023-01-07 07:59", 1),
        ("Asia/Tokyo", "2023-01-06 15:00", 0),
        ("Mars/Phobos", "2023-01-06 23:00", 1),
    ],
)
def test_a_day_that_is_not_over_at_its_store_waits(zone, now, waiting):
    """An export at noon holds a part of the day; tomorrow it is whole."""
    sales = silent("sales", make_sales(5, stores=1, items=1))
    delivery = {"stores": make_stores(1, timezone=zone), "sales": sales}

    result = new_rows(delivery, {}, (None, FIRST_LOAD), pd.Timestamp(now))

    assert result.waiting["sales"] == waiting


def test_a_plan_without_moments_is_known_when_it_is_delivered():
    """The promotions of next week are there to forecast with."""
    plan = silent("plan", make_plan(30))

    result = new_rows({"plan": plan}, {}, (None, FIRST_LOAD), LATER)

    assert len(result.tables["plan"]) == len(plan)
    assert result.tables["plan"]["recorded_at"].max() < FIRST_LOAD


def _disturbed(rng: np.random.Generator, whole: pd.DataFrame) -> pd.DataFrame:
    """Return some of the rows: missing, corrected and doubled ones, some without moments."""
    part = whole[rng.random(len(whole)) < rng.choice([0.5, 0.9, 1.0])]
    corrected = rng.random(len(part)) < rng.choice([0.0, 0.1])
    part = part.assign(units=part["units"] + np.where(corrected, rng.integers(1, 9), 0))
    part = pd.concat([part, part[rng.random(len(part)) < rng.choice([0.0, 0.2])]])
    part = part.sample(frac=1, random_state=int(rng.integers(1 << 30)))
    unsaid = rng.random(len(part)) < rng.choice([0.0, 0.3, 1.0])
    return part.assign(recorded_at=part["recorded_at"].mask(unsaid)).reset_index(drop=True)


UNTILS = (FIRST_LOAD - 4 * DAY, FIRST_LOAD - 2 * DAY, FIRST_LOAD)


@settings(max_examples=334, deadline=None)  # of three deliveries: a thousand
@given(seed=st.integers(0, 2**32 - 1))
def test_no_row_of_a_disturbed_delivery_is_lost(seed):
    """News, stored already and waiting add up to what was delivered, and every value is stored."""
    rng = np.random.default_rng(seed)
    whole = make_sales(6, seed=int(rng.integers(100)))
    stored: dict[str, pd.DataFrame] = {}
    delivered: set[tuple] = set()
    for until in UNTILS:
        rows = _disturbed(rng, whole)
        since = stored["sales"]["recorded_at"].max() if stored and len(stored["sales"]) else None
        result = new_rows({"sales": rows}, stored, (since, until), LATER)
        news, waiting = result.tables["sales"], result.waiting.get("sales", 0)
        assert len(news) + result.stored_already.get("sales", 0) + waiting == len(rows)
        assert (news["recorded_at"] < until).all()
        stored["sales"] = conform("sales", pd.concat([stored.get("sales"), news]))
        over = rows["recorded_at"].fillna(rows["date"] + DAY - pd.Timedelta("1s")) < until
        delivered |= _values(rows[over])
        assert _values(stored["sales"]) == delivered


def _values(rows: pd.DataFrame) -> set[tuple]:
    return {*rows[["store_id", "item_id", "date", "units"]].itertuples(index=False, name=None)}


class Book:
    """A plain book-keeper: every line as it came, each with the moment it was entered."""

    def __init__(self) -> None:
        """Begin without a line."""
        self.lines: list[tuple[tuple, pd.Timestamp, int]] = []

    def enter(self, rows: pd.DataFrame, until: pd.Timestamp) -> None:
        """Enter what is new: a new day as it ended, anything older as it was delivered."""
        newest = max((moment for _, moment, _ in self.lines), default=pd.Timestamp(0))
        for row in rows.itertuples():
            key, ended = (row.store_id, row.item_id, row.date), row.date + DAY - pd.Timedelta("1s")
            if ended < until and self.known(until).get(key) != row.units:
                moment = ended if ended > newest else until - pd.Timedelta("1s")
                self.lines.append((key, moment, row.units))

    def known(self, moment: pd.Timestamp) -> dict[tuple, int]:
        """Return the last value of each key that was entered before `moment`."""
        return {key: units for key, entered, units in self.lines if entered < moment}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_was_known_at_any_time_can_be_read_back(seed):
    """Reading the stored rows as of any day gives what a plain book says of that day."""
    rng = np.random.default_rng(seed)
    whole = make_sales(6, stores=2, items=1, seed=int(rng.integers(100)))
    stored: dict[str, pd.DataFrame] = {}
    book = Book()
    for until in UNTILS:
        rows = _disturbed(rng, whole).drop_duplicates(["store_id", "item_id", "date"])
        stored = load({"sales": rows}, stored, until)
        book.enter(rows, until)
    for day in pd.date_range(FIRST_LOAD - 9 * DAY, FIRST_LOAD):
        known = latest("sales", as_of(stored, day)["sales"])
        units = known.set_index(["store_id", "item_id", "date"])["units"].to_dict()
        assert units == book.known(close_of(day))
