"""Scores keep their signs, units and bounds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salescast.evaluation import metrics

ACTUAL = np.array([2.0, 0.0, 4.0])


def test_wape_sums_before_it_divides():
    """Errors 1 + 1 + 2 over 6 units sold."""
    assert metrics.wape(ACTUAL, np.array([1.0, 1.0, 6.0])) == pytest.approx(4 / 6)


def test_bias_is_positive_when_too_much_is_forecast():
    """Three units too many over six sold."""
    assert metrics.bias(ACTUAL, ACTUAL + 1) == pytest.approx(0.5)


def test_pinball_of_the_median_is_half_the_absolute_error():
    """At 0.5 over- and underage weigh the same."""
    assert metrics.pinball(ACTUAL, ACTUAL + 1, 0.5) == pytest.approx(0.5)


@given(st.lists(st.integers(0, 50), min_size=30, max_size=60), st.floats(0.05, 0.95))
def test_no_constant_beats_the_empirical_quantile_in_pinball(values, quantile):
    """The quantile minimises its own pinball loss."""
    actual = np.array(values, dtype=float)
    best = np.quantile(actual, quantile, method="inverted_cdf")
    losses = [metrics.pinball(actual, np.full_like(actual, c), quantile) for c in range(51)]
    assert metrics.pinball(actual, np.full_like(actual, best), quantile) <= min(losses) + 1e-9


def test_wql_of_the_median_alone_is_wape():
    """2 × pinball at 0.5 is the absolute error."""
    median = np.array([1.0, 1.0, 6.0])
    wql = metrics.wql(ACTUAL, median[:, None], [0.5])
    assert wql == pytest.approx(metrics.wape(ACTUAL, median))


def test_coverage_counts_the_bounds_in():
    """An outcome on the bound is inside."""
    assert metrics.coverage(ACTUAL, ACTUAL, ACTUAL) == 1.0


def test_skill_is_zero_at_the_baseline_and_one_at_perfection():
    """1 − score ÷ baseline."""
    assert [metrics.skill(2.0, 2.0), metrics.skill(0.0, 2.0)] == [0.0, 1.0]


@pytest.mark.parametrize("metric", [metrics.wape, metrics.bias, metrics.rmse])
def test_nothing_to_score_is_not_a_number(metric):
    """An empty selection must not look like a perfect score."""
    assert math.isnan(metric(np.array([]), np.array([])))
