"""Random numbers are keyed by entity, and counts follow the negative binomial."""

import hypothesis
import numpy as np
import pytest
import scipy.stats
from hypothesis import strategies as st

from godatamarkets.demand import negative_binomial
from godatamarkets.randomness import normals, uniforms


def test_a_longer_stream_begins_like_a_shorter_one():
    """Later days never change earlier ones."""
    assert (uniforms(7, "demand", "a", 9)[:5] == uniforms(7, "demand", "a", 5)).all()


@pytest.mark.parametrize("other", [(8, "demand", "a"), (7, "promo", "a"), (7, "demand", "b")])
def test_streams_differ_by_seed_stream_and_entity(other: tuple[int, str, str]):
    """No two keys share their numbers."""
    assert (uniforms(7, "demand", "a", 5) != uniforms(*other, 5)).all()


def test_normals_are_normal():
    """Mean 0 and variance 1, within three standard errors."""
    draws = normals(7, "rain", "a", 100_000)
    assert abs(draws.mean()) < 0.01
    assert abs(draws.std() - 1) < 0.007


@hypothesis.given(st.floats(1e-6, 1 - 1e-6), st.floats(0.001, 300), st.floats(0.5, 10))
def test_counts_are_quantiles_of_the_negative_binomial(chance: float, rate: float, k: float):
    """The count is the smallest whose probability to be reached is at least `chance`."""
    count = int(negative_binomial(np.array([chance]), np.array([rate]), np.array([k]))[0])
    reached = scipy.stats.nbinom.cdf([count - 1, count], k, k / (k + rate))
    assert reached[0] - 1e-9 < chance < reached[1] + 1e-9


def test_nobody_wants_anything_at_rate_zero():
    """A closed store has no demand."""
    assert negative_binomial(np.array([0.999]), np.array([0.0]), np.array([3.0])).tolist() == [0]
