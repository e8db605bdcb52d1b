"""The tests of costs hold their error rates on histories that are correlated and skewed."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salescast.evaluation.inference import (
    BLOCK_DAYS,
    MIN_LENGTH,
    block_means,
    confidence_sequence,
    interval,
    lower_bound,
    p_value,
    rejected,
)

HISTORIES = 4000
ERROR = 0.05


def histories(noise, correlation, length, seed=1):
    """Return histories with mean 0 and variance 1, an AR(1) of skewed or heavy-tailed noise."""
    rng = np.random.default_rng(seed)
    shape = (HISTORIES, length + 30)
    fresh = {
        "normal": lambda: rng.normal(size=shape),
        "skewed": lambda: (1 - rng.gamma(0.5, 2, shape)) / np.sqrt(2),
        "t3": lambda: rng.standard_t(3, shape) / np.sqrt(3),
    }[noise]()
    for day in range(1, shape[1]):
        innovation = np.sqrt(1 - correlation**2) * fresh[:, day]
        fresh[:, day] = correlation * fresh[:, day - 1] + innovation
    return fresh[:, 30:]


def upper_limit(error):
    """Return what a simulated share may reach by chance where the true one is `error`."""
    return error + 2.6 * np.sqrt(error * (1 - error) / HISTORIES)


@pytest.mark.parametrize("noise", ["normal", "skewed", "t3"])
@pytest.mark.parametrize("correlation", [0.0, 0.35, 0.6])
@pytest.mark.parametrize("length", [MIN_LENGTH, 26])
def test_a_saving_of_nothing_is_seldom_taken_for_one(noise, correlation, length):
    """Neither correlation nor rare heavy losses raise the error above the stated one."""
    mistakes = lower_bound(histories(noise, correlation, length), ERROR) > 0
    assert mistakes.mean() <= upper_limit(ERROR)


def test_a_clear_saving_is_found():
    """Three noises of a week, over half a year."""
    assert (lower_bound(histories("normal", 0.35, 26) + 3, ERROR) > 0).mean() > 0.99


def test_below_the_shortest_length_nothing_is_concluded():
    """However large the saving."""
    assert lower_bound([9.0] * (MIN_LENGTH - 1), ERROR) == -np.inf
    assert p_value([9.0] * (MIN_LENGTH - 1)) == 1.0


@given(st.lists(st.floats(-100, 100), min_size=MIN_LENGTH, max_size=40))
def test_the_interval_holds_the_mean(values):
    """Each bound lies on its side."""
    low, high = interval(values, ERROR)
    assert low <= np.mean(values) + 1e-9
    assert high >= np.mean(values) - 1e-9


@given(st.integers(0, 1000))
def test_the_p_value_falls_as_the_mean_rises(seed):
    """The same values, higher by one noise each, are never less convincing."""
    values = np.random.default_rng(seed).normal(size=26)
    first, second, third = (float(p_value(values + shift)) for shift in (1.0, 2.0, 3.0))
    assert first >= second >= third


@pytest.mark.parametrize("noise", ["normal", "skewed", "t3"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_daily_looks_do_not_add_up_to_a_larger_error(noise, sign):
    """Four weeks of daily looks at equal models, with days that are correlated."""
    days = sign * histories(noise, 0.35, 28)
    blocks = days.reshape(HISTORIES, -1, BLOCK_DAYS).mean(axis=2)
    _, high = confidence_sequence(blocks, 0.01)
    assert (high[:, -1] < 0).mean() <= upper_limit(0.01)


def test_a_bound_once_reached_is_kept():
    """Later, noisier looks do not widen the interval."""
    low, high = confidence_sequence(histories("t3", 0.0, 30), 0.01)
    assert (low[:, 1:] >= low[:, :-1]).all()
    assert (high[:, 1:] <= high[:, :-1]).all()


def test_each_outcome_counts_once_and_an_unfinished_block_not_at_all():
    """Two origins forecast the same fourteen days: three blocks of four are complete."""
    days = pd.date_range("2025-01-01", periods=14)
    rows = pd.DataFrame({"date": np.tile(days, 2), "saved": np.tile(np.arange(14.0), 2)})
    assert block_means(rows, "saved").tolist() == [1.5, 5.5, 9.5]


def test_holm_rejects_in_order_and_stops():
    """0.01 of four passes 0.05 ÷ 4, 0.02 fails 0.05 ÷ 3, and nothing after it counts."""
    p_values = np.array([0.5, 0.01, 0.02, 0.024])
    assert rejected(p_values, 0.05).tolist() == [False, True, False, False]


def test_the_family_error_of_many_segments_is_held():
    """Fourteen segments, each exactly at the margin, skewed and correlated."""
    segments = histories("skewed", 0.35, 26 * 14)[:1000].reshape(1000, 14, 26)
    family = rejected(p_value(segments), ERROR).any(axis=1)
    assert family.mean() <= ERROR + 2.6 * np.sqrt(ERROR * (1 - ERROR) / 1000)
