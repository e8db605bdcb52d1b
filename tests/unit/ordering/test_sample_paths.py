"""Sample paths keep each day's distribution and carry errors from day to day."""

import numpy as np
import pandas as pd
import pytest

from salescast.models.counts import CountMixture
from salescast.ordering.sample_paths import PATHS, Dependence, learn, sample

LEADS = 9


def make_rows(series: int = 4, origins: int = 1) -> pd.DataFrame:
    """Return rows of `series` items at each origin, all leads in a run."""
    first = pd.Timestamp("2024-01-01")
    names = ["origin", "item_id", "lead_time"]
    days = [first + pd.Timedelta(days=20 * n) for n in range(origins)]
    grid = [days, [f"u{i}" for i in range(series)], range(1, LEADS + 1)]
    rows = pd.MultiIndex.from_product(grid, names=names).to_frame(index=False)
    rows["date"] = rows["origin"] + pd.to_timedelta(rows["lead_time"], unit="D")
    return rows.assign(store_id="s1")


def make_mixture(rows: pd.DataFrame, mean: float = 8.0) -> CountMixture:
    """Return the same two rates, dry and wet, for each row."""
    means = np.tile([0.5 * mean, 2.0 * mean], (len(rows), 1))
    weights = np.tile([2 / 3, 1 / 3], (len(rows), 1))
    return CountMixture(weights, means, np.full(len(rows), 4.0))


@pytest.mark.parametrize("mean", [0.0, 0.3, 8.0, 900.0])
def test_each_day_keeps_its_own_distribution(mean):
    """Sorted, the paths of a day are the quantiles of its mixture."""
    rows = make_rows(1)
    mixture = make_mixture(rows, mean)
    drawn = np.sort(sample(rows, mixture, Dependence(0.6, {"u0": 0.5}, 0.5))[0], axis=0)
    levels = (np.arange(PATHS) + 0.5) / PATHS
    expected = mixture.quantiles(levels)
    assert (expected == drawn.T).all()


def test_errors_that_carry_on_widen_the_total():
    """The sum of a week varies more than that of days apart."""
    rows = make_rows(1)
    apart, together = (
        sample(rows, make_mixture(rows), Dependence(0.7, {}, share))[0].sum(axis=1).var()
        for share in (0.0, 0.4)
    )
    assert together > 1.2 * apart


def test_independent_days_add_their_variances():
    """Without a carried part the fixed draws leave next to no dependence."""
    rows = make_rows(1)
    drawn = sample(rows, make_mixture(rows), Dependence(0.7, {}, 0.0))[0]
    assert drawn.sum(axis=1).var() == pytest.approx(drawn.var(axis=0).sum(), rel=0.08)


def test_a_series_less_leaves_the_others_alone():
    """All meet the same draws."""
    rows, dependence = make_rows(4), Dependence(0.6, {"u1": 0.2}, 0.4)
    all_ = sample(rows, make_mixture(rows), dependence)
    fewer = rows[rows["item_id"] != "u0"]
    assert (sample(fewer, make_mixture(fewer), dependence) == all_[1:]).all()


def test_learns_the_dependence_that_made_the_demand():
    """Paths that were drawn with a decay and a share give both back."""
    rows = make_rows(2, origins=400)
    mixture, dependence = make_mixture(rows), Dependence(0.7, {"u0": 0.0, "u1": 0.5}, 0.0)
    drawn = sample(rows, mixture, dependence)
    pick = np.random.Generator(np.random.PCG64(1)).integers(PATHS, size=len(drawn))
    truth = rows.assign(demand=drawn[np.arange(len(drawn)), pick].ravel())
    found = learn(rows, (mixture.mean, mixture.variance), truth)
    assert found.share["u0"] < 0.1
    assert found.share["u1"] * found.decay == pytest.approx(0.35, abs=0.1)


def test_nothing_known_is_no_dependence():
    """Forecasts without outcomes teach nothing, and fail at nothing."""
    rows = make_rows()
    truth = pd.DataFrame({"store_id": [], "item_id": [], "date": [], "demand": []})
    truth = truth.astype({"store_id": "str", "item_id": "str", "date": "datetime64[us]"})
    mixture = make_mixture(rows)
    found = learn(rows, (mixture.mean, mixture.variance), truth)
    assert set(found.share.values()) | {found.usual} == {0.0}
