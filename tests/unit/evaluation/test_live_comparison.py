"""Stores stay with their canary, and what came true decides about it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salescast.evaluation.live_comparison import MIN_ORIGINS, canary_stores, in_canary, judge

STORES = [f"store-{i}" for i in range(2000)]
BOUNDS = (0.75, 0.85)


def make_scored(factor: float = 1.0, origins: int = 28, seed: int = 1) -> pd.DataFrame:
    """Return outcomes of versions 1 and 2, the second's costs `factor` times the first's."""
    rng = np.random.default_rng(seed)
    days = pd.date_range("2024-01-01", periods=origins)
    keys = pd.MultiIndex.from_product([["s1", "s2"], ["u1"], days, range(1, 8)])
    one = keys.to_frame(index=False, name=["store_id", "item_id", "origin", "lead"])
    one["date"] = one["origin"] + pd.to_timedelta(one.pop("lead"), unit="D")
    rank = rng.random(len(one))
    one = one.assign(model="1", actual=rank, p10=0.1, p90=0.9, cost=rng.gamma(4.0, 1.0, len(one)))
    two = one.assign(model="2", cost=one["cost"] * factor + rng.normal(0, 0.3, len(one)))
    return pd.concat([one, two], ignore_index=True)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_a_canary_serves_about_its_share_of_stores(share):
    """None at 0, all at 1."""
    assert len(canary_stores(STORES, share, "7")) == pytest.approx(share * len(STORES), abs=70)


@given(st.text(max_size=20), st.floats(0, 1), st.floats(0, 1))
def test_a_store_stays_when_the_share_grows(store, share, more):
    """Whoever met the canary meets it until it is withdrawn."""
    least, most = sorted([share, more])
    assert in_canary(store, most, "7") or not in_canary(store, least, "7")


def test_the_next_canary_meets_other_stores():
    """Else the same few would always bear the risk."""
    first, second = (set(canary_stores(STORES, 0.1, version)) for version in ("7", "8"))
    assert len(first & second) < len(first) / 3


@pytest.mark.parametrize(
    ("factor", "verdict"), [(0.8, "promising"), (1.0, "undecided"), (1.25, "withdraw")]
)
def test_money_decides(factor, verdict):
    """Clearly cheaper, equal, clearly dearer."""
    found = judge(make_scored(factor), "2", "1", BOUNDS)
    assert found.verdict == verdict
    assert found.low <= found.saved <= found.high


def test_intervals_that_hold_too_little_end_it():
    """A cheap challenger whose p10…p90 are far too narrow is withdrawn all the same."""
    scored = make_scored(0.8)
    narrow = scored["model"] == "2"
    scored.loc[narrow, ["p10", "p90"]] = [0.4, 0.6]
    found = judge(scored, "2", "1", BOUNDS)
    assert found.verdict == "withdraw"
    assert "of outcomes" in found.reason


def test_a_few_days_decide_nothing():
    """However bad they look."""
    found = judge(make_scored(9.0, origins=MIN_ORIGINS - 1), "2", "1", BOUNDS)
    assert (found.verdict, found.saved) == ("undecided", None)


def test_only_forecasts_that_both_made_count():
    """A champion that also served last month is compared on the common days alone."""
    scored = make_scored(1.0)
    before = scored[scored["model"] == "1"].assign(
        origin=lambda rows: rows["origin"] - pd.Timedelta(days=99), cost=0.0
    )
    alone = judge(pd.concat([scored, before]), "2", "1", BOUNDS)
    assert alone == judge(scored, "2", "1", BOUNDS)
