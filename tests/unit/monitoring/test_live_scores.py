"""Monitoring tells what matured, what drifted and what needs a look."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salescast.monitoring.live_scores import (
    drift,
    issue_uncertainty,
    live_scorecard,
    psi,
    same_season,
    usual_drift,
)

RNG = np.random.default_rng(1)


def make_scored(rows: int = 28) -> pd.DataFrame:
    """Return scored forecasts of two leads, each two units too high."""
    frame = pd.DataFrame({"lead_time": [1, 2] * (rows // 2), "actual": 4.0, "mean": 6.0})
    return frame.assign(p10=1.0, p50=6.0, p90=9.0, cost=2.0)


def test_the_matured_share_stands_beside_the_scores():
    """Half of what was served has an outcome."""
    served = pd.concat([make_scored(), make_scored()])
    live = live_scorecard(served, make_scored(), [0.1, 0.5, 0.9])
    assert live["matured"] == 0.5
    assert live["by_lead"]["1"]["matured"] == 0.5
    assert live["overall"]["bias"] == pytest.approx(0.5)


def test_nothing_matured_has_no_scores():
    """The day after the first forecast there is nothing to score."""
    live = live_scorecard(make_scored(), make_scored().head(0), [0.1, 0.5, 0.9])
    assert live == {"forecasts": 28, "matured": 0.0, "overall": {}, "by_lead": {}}


@given(st.integers(0, 10_000))
def test_psi_of_the_same_distribution_is_small_and_of_a_shifted_one_large(seed):
    """Two samples of one shop agree; a doubled one does not."""
    rng = np.random.default_rng(seed)
    usual, again = rng.gamma(2, 2, 4000), rng.gamma(2, 2, 1000)
    assert 0 <= psi(usual, again) < 0.1
    assert psi(usual, 2 * again) > 0.25


def test_a_column_that_goes_missing_drifts():
    """NaN is a bin of its own."""
    assert psi(RNG.normal(size=500), np.full(500, np.nan)) > 1


def test_the_reference_is_the_same_season_of_earlier_years():
    """December is compared with December, not with last month."""
    days = pd.date_range("2022-01-01", "2024-12-28", freq="7D")
    rows = same_season(pd.DataFrame({"origin": days}), pd.Timestamp("2024-12-28"))
    assert set(rows["origin"].dt.month) <= {11, 12, 1}
    assert rows["origin"].max() < pd.Timestamp("2024-06-30")


def test_without_an_earlier_year_there_is_no_drift_to_speak_of():
    """No reference, no claim."""
    assert drift(pd.DataFrame({"a": []}), pd.DataFrame({"a": [1.0]}), ["a"]) == {}


def test_usual_drift_is_that_of_the_oddest_earlier_stretch():
    """One wet winter among dry ones sets the bar; a single year sets none."""
    winters = [pd.Timestamp(f"{y}-12-20") for y in (2021, 2022, 2023)]
    parts = [
        pd.DataFrame({"origin": day, "rain_mm": np.random.default_rng(1).gamma(2, mm, 400)})
        for day, mm in zip(winters, (2, 2, 6), strict=True)
    ]
    assert usual_drift(pd.concat(parts), ["rain_mm"], 28)["rain_mm"] > 0.5
    assert usual_drift(pd.concat(parts[:2]), ["rain_mm"], 28)["rain_mm"] < 0.1
    assert usual_drift(parts[0], ["rain_mm"], 28) == {}


def make_issues(chances):
    """Return issues about one date by lead: what they say of each place."""
    rows = [
        {
            "location_id": place,
            "issued_at": pd.Timestamp("2025-03-10") - pd.Timedelta(days=lead),
            "date": pd.Timestamp("2025-03-10"),
            "precip_probability": chance,
        }
        for lead, each in chances.items()
        for place, chance in enumerate(each)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ((0.5, 0.2), (0.5, 0.2), 0.5),  # no news in a day
        ((1.0, 0.0), (0.5, 0.2), 0.0),  # the last day says all
        ((0.1, 0.1), (0.5, 0.5), 0.09 / 0.34),
    ],
)
def test_uncertainty_is_what_the_last_issue_leaves(one, two, expected):
    """Over all places, beside the issue of the day before."""
    left = issue_uncertainty(make_issues({1: one, 2: two, 3: (0.5, 0.5)}))
    assert left.to_numpy() == pytest.approx([expected])


def test_days_without_uncertainty_or_without_both_issues_tell_nothing():
    """A dry season, or a feed that skips days, neither is better nor worse."""
    assert issue_uncertainty(make_issues({1: (0.0,), 2: (0.0,)})).empty
    assert issue_uncertainty(make_issues({1: (0.5,), 3: (0.5,)})).empty
