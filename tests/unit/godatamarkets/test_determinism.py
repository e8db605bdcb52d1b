"""The same seed gives the same rows, whatever else is simulated or delivered."""

import hypothesis
import pandas as pd
from hypothesis import strategies as st

from godatamarkets import Retailer
from tests.unit.godatamarkets.builders import digest, half_year, retailer

SMALL_60_DAYS = "b24e19bc8c047ef4ef517842481a7e39c93e5f535cada0389d8dcffa1fe0bc97"
DEMO_3_DAYS = "37bc1b3621fc763fa507760b9823d0fac8ce7b6d5d0dcdc7c8d7d0520d9a12fd"


def only(tables: dict[str, pd.DataFrame], like: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the rows of `tables` about stores, items and cities that occur in `like`."""
    result = dict(tables)
    for key in ("store_id", "item_id", "location_id"):
        for name, rows in result.items():
            if key in rows:
                result[name] = rows[rows[key].isin(like[name][key])]
    return result


def test_small_is_the_same_to_the_byte_everywhere():
    """Sixty days hash to what they did on other Pythons and numpys."""
    assert digest(retailer().deliver("2022-01-03", "2022-03-03")) == SMALL_60_DAYS


def test_demo_is_the_same_to_the_byte_everywhere():
    """Three days of the embedded period hash to what they did elsewhere."""
    assert digest(retailer("demo").deliver("2024-12-22", "2024-12-24")) == DEMO_3_DAYS


def test_another_seed_is_another_world():
    """The seed matters."""
    assert digest(Retailer("small", 8).deliver("2022-01-03", "2022-03-03")) != SMALL_60_DAYS


def test_more_stores_and_items_leave_the_others_alone():
    """The small retailer is part of the demo, to the byte."""
    small = half_year()
    demo = retailer("demo").deliver("2022-01-03", "2022-06-30")
    assert digest(only(demo, small)) == digest(small)


def test_a_new_store_leaves_the_others_alone():
    """The rows of all older stores are those without it."""
    plain = half_year()
    assert digest(only(half_year("new_store@2022-03-01"), plain)) == digest(plain)


@hypothesis.settings(max_examples=8)
@hypothesis.given(
    st.integers(0, 170),
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.sampled_from([(), ("late_sales@2022-03-01",), ("duplicate_rows@2022-03-01:days=40",)]),
)
def test_day_by_day_gives_what_at_once_gives(start: int, steps: list[int], faults: tuple[str]):
    """However a period is cut, and whatever was asked before, the rows are the same."""
    world = retailer("small", 7, *faults)
    first = pd.Timestamp("2022-01-03") + pd.Timedelta(days=start)
    parts, day = [], first
    for step in steps:
        last = day + pd.Timedelta(days=step - 1)
        parts.append(world.deliver(day, last))
        day = last + pd.Timedelta(days=1)
    whole = world.deliver(first, day - pd.Timedelta(days=1))
    joined = {name: pd.concat([part[name] for part in parts]) for name in whole}
    assert digest(joined) == digest(whole)


def test_a_longer_life_leaves_the_past_alone():
    """Simulating years beyond the first stretch changes no earlier row."""
    world = Retailer("small")
    world.deliver("2027-06-01")
    assert digest(world.deliver("2022-01-03", "2022-03-03")) == SMALL_60_DAYS
