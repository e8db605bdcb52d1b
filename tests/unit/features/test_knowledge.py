"""A chain in partitions is the chain: the same features and forecasts, bit for bit."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salescast.contract.schema import Tables
from salescast.errors import NotEnoughHistoryError
from salescast.features.knowledge import chain_sales, item_sales
from salescast.features.point_in_time import build, past
from salescast.models import make
from salescast.models.forecaster import Forecaster, forecast
from tests.builders import FIRST, make_plan, make_tables

STORES = [f"s{i}" for i in range(1, 6)]
ORIGINS = [FIRST + pd.Timedelta(days=d) for d in (60, 75, 110)]
LEVELS, CRITICAL = [0.1, 0.5, 0.9], {"u1": 0.8, "u2": 0.9}


def chain(opened: list[int]) -> dict[str, pd.DataFrame]:
    """Return five stores that sell from the given day on; one that never does is planned late."""
    tables = make_tables(120, stores=len(STORES))
    sales = tables["sales"]
    begun = pd.Series([FIRST + pd.Timedelta(days=day) for day in opened], STORES)
    tables["sales"] = sales[sales["date"] >= sales["store_id"].map(begun)]
    return tables | {"plan": make_plan(134, stores=len(STORES))}


def of_stores(tables: Tables, store_ids: list[str]) -> dict[str, pd.DataFrame]:
    """Return the rows of some stores and their places, and all items."""
    stores = tables["stores"]
    places = stores.loc[stores["store_id"].isin(store_ids), "location_id"]
    kept = {"store_id": store_ids, "location_id": list(places)}
    found = dict(tables)
    for table, rows in tables.items():
        for column in set(kept) & set(rows.columns):
            found[table] = found[table][found[table][column].isin(kept[column])]
    return found


def in_parts(tables: Tables, cuts: list[int]) -> pd.DataFrame:
    """Return the features as partitions make them, joined."""
    runs = [list(run) for run in np.split(STORES, sorted(set(cuts)))]
    parts = [of_stores(tables, [str(name) for name in run]) for run in runs]
    shares = [item_sales(part, ORIGINS) for part in parts]
    whole = chain_sales(shares, ORIGINS)
    rows = [
        build(part, known.index.unique("origin"), chain=whole)
        for part, known in zip(parts, shares, strict=True)
        if len(known)
    ]
    return pd.concat(rows).sort_values("origin", kind="stable", ignore_index=True)


@cache
def fitted() -> Forecaster:
    """Return a model of the chain where all have sold from the first day on."""
    tables = chain([0] * len(STORES))
    return make("integrated", {}, 1).fit(build(tables, ORIGINS), past(tables, ORIGINS[-1]))


@settings(max_examples=12)
@given(
    opened=st.lists(st.sampled_from([0, 50, 58, 100, 119, 999]), min_size=5, max_size=5).filter(
        lambda days: min(days) < 60
    ),
    cuts=st.lists(st.integers(1, 4), min_size=1, max_size=4),
)
def test_partitions_make_the_features_and_forecasts_of_the_chain(opened, cuts):
    """Also where a store has just opened, and leans on what others sell."""
    tables = chain(opened)

    whole, parts = build(tables, ORIGINS), in_parts(tables, cuts)

    pd.testing.assert_frame_equal(parts, whole, check_exact=True)
    forecasts = [forecast(fitted(), rows, LEVELS, CRITICAL) for rows in (parts, whole)]
    pd.testing.assert_frame_equal(*forecasts, check_exact=True)


def test_a_new_store_leans_on_the_stores_of_other_partitions():
    """The property would notice: alone, its level is another."""
    tables = chain([0, 0, 0, 0, 105])
    new = of_stores(tables, ["s5"])
    whole = chain_sales([item_sales(tables, ORIGINS)], ORIGINS)
    alone, within = (build(new, ORIGINS[-1:], chain=c) for c in (None, whole))
    assert (alone["level"] != within["level"]).all()


def test_an_origin_at_which_no_store_is_known_is_refused():
    """As for the chain in one piece."""
    tables = chain([0] * 5)
    before = [FIRST - pd.Timedelta(days=400)]
    with pytest.raises(NotEnoughHistoryError, match="2021-11-28"):
        chain_sales([item_sales(of_stores(tables, [name]), before) for name in STORES], before)
