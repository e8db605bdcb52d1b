"""Quantiles of counts are those of the distribution they are said to come from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom

from salescast.models.counts import LARGE, CountMixture

LEVELS = [0.05, 0.1, 0.5, 0.9, 0.95]


def ask(weights, means, k, own=0.8):
    """Return the quantiles of one row at LEVELS and at one more level."""
    row = (np.array(value, dtype=float) for value in ([weights], [means], [k]))
    return CountMixture(*row).quantiles(np.array([*LEVELS, own]))[0]


def inverted(weights, means, k, levels):
    """Return the smallest count whose cumulative probability reaches each level, by search."""
    counts = np.arange(20_000)
    k, means = float(k), np.asarray(means, float)
    total = sum(w * nbinom.cdf(counts, k, k / (k + m)) for w, m in zip(weights, means, strict=True))
    return [int(np.argmax(total >= level - 1e-12)) for level in levels]


@settings(max_examples=60)
@given(st.floats(0.01, LARGE), st.floats(0.2, 1000))
def test_one_node_is_the_negative_binomial(mean, k):
    """The quantiles are those of scipy, to the count."""
    expected = nbinom.ppf([*LEVELS, 0.8], k, k / (k + mean))
    assert np.abs(ask([1.0], [mean], k) - expected).max() <= 1  # rounding at a step's very edge
    assert (ask([1.0], [mean], k) == expected).mean() > 0.8


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.0, 60)), min_size=2, max_size=6),
    st.floats(0.3, 50),
    st.floats(0.01, 0.99),
)
def test_a_mixture_is_the_inverse_of_its_cumulative_probability(nodes, k, own):
    """Brute force: add up the mixture's probabilities and look where each level is reached."""
    weights = np.array([w for w, _ in nodes])
    means = [m for _, m in nodes]
    expected = inverted(weights / weights.sum(), means, k, [*LEVELS, own])
    assert ask(weights / weights.sum(), means, k, own).tolist() == pytest.approx(expected, abs=1)


def test_quantiles_rise_with_the_level():
    """No crossing, whatever the mixture, small or large."""
    rng = np.random.default_rng(1)
    weights = rng.dirichlet(np.ones(11), 300)
    means = rng.gamma(0.5, 100, (300, 11))
    levels = np.linspace(0.01, 0.99, 33)

    result = CountMixture(weights, means, rng.uniform(0.3, 1e6, 300)).quantiles(levels)

    assert (np.diff(result, axis=1) >= 0).all()
    assert (result >= 0).all()


def test_a_row_alone_and_in_a_batch_is_the_same():
    """What is asked together does not influence each other, bit for bit."""
    rng = np.random.default_rng(2)
    weights, means = rng.dirichlet(np.ones(5), 50), rng.gamma(0.5, 200, (50, 5))
    mixture = CountMixture(weights, means, rng.uniform(0.3, 20, 50))
    levels = np.column_stack([np.tile(LEVELS, (50, 1)), rng.uniform(0.1, 0.9, 50)])

    together = mixture.quantiles(levels)

    for row in range(50):
        alone = mixture.select(np.array([row])).quantiles(levels[[row]])
        np.testing.assert_array_equal(alone[0], together[row])


def test_mean_and_variance_are_those_of_the_mixture():
    """Two components: the variance within them and between them."""
    mixture = CountMixture(np.array([[0.25, 0.75]]), np.array([[2.0, 6.0]]), np.array([4.0]))
    within = 0.25 * (2.0 + 4.0 / 4.0) + 0.75 * (6.0 + 36.0 / 4.0)
    assert mixture.mean.tolist() == [5.0]
    assert mixture.variance.tolist() == pytest.approx([within + 0.25 * 9.0 + 0.75 * 1.0])


@pytest.mark.parametrize("mean", [LARGE * 0.99, LARGE * 1.01, 5_000.0])
def test_large_means_agree_with_the_exact_mixture(mean):
    """Where one matched distribution stands in, it differs by less than 3 %."""
    weights, means = [0.3, 0.7], [mean * 0.9, mean * 73 / 70]
    expected = inverted(weights, means, 8.0, LEVELS)
    assert ask(weights, means, 8.0)[:-1] == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("mean", [0.0, 1e-12])
def test_nothing_expected_is_nothing_at_every_level(mean):
    """A series that never sells."""
    assert ask([1.0], [mean], 5.0).tolist() == [0.0] * 6
