"""Evidence grows with a change, and seldom without one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from salescast.monitoring.sequential import bets, cusum, for_streams, mean_shift


def test_evidence_against_a_change_is_forgotten():
    """Years of silence do not delay an alarm: the sum starts anew where it fell below 0."""
    found = cusum(np.array([-5.0, -5.0, 2.0, 1.0]))
    assert list(found) == [-5.0, -5.0, 2.0, 3.0]


@given(st.integers(0, 10_000))
def test_a_shifted_mean_gathers_evidence_on_its_side(seed):
    """Ranks that lie high on average are found above, not below."""
    values = np.random.default_rng(seed).beta(8, 3, 80)
    high, low = bets(values, 0.5, 0.05)
    assert high[-1] > 5 > low[-1]


def test_a_fair_game_seldom_gathers_much_however_days_vary():
    """Of 400 fair years, with coarse and with fine days, less than e⁻⁷ a day cross 7."""
    rng = np.random.default_rng(1)
    crossed = 0
    for year in range(400):
        fine = rng.beta(20, 20, 365)
        values = fine if year % 2 else rng.integers(0, 2, 365).astype(float)
        crossed += max(side.max() for side in bets(values, 0.5, 0.0)) > 7
    assert crossed <= 400 * 2 * 365 * np.exp(-7)


def test_a_tolerance_forgives_a_small_bias():
    """What lies within the tolerance is no evidence, for however long."""
    values = np.random.default_rng(2).beta(20, 18, 5000)
    assert bets(values, 0.5, 0.05)[0].max() < 7
    assert bets(values, 0.5, 0.0)[0].max() > 7


def test_usual_values_at_the_edge_leave_room_for_a_bet():
    """A usual coverage of 97 % with a tolerance of 5 % has a bound below 1."""
    high, low = bets(np.ones(50), 0.97, 0.05)
    assert np.isfinite(high).all()
    assert low[-1] < 0 < high[-1]


@given(st.integers(0, 10_000))
def test_a_moved_mean_is_found_on_its_side(seed):
    """Two noises lower for a month: surely below, never above."""
    values = np.random.default_rng(seed).normal(-2.0, 1.0, 30)
    above, below = mean_shift(values, 0.0, 1.0)
    assert below[-1] > 8
    assert above[-1] < 4


def test_one_odd_day_proves_little():
    """A feed that delivers nonsense once is no change of its skill."""
    values = np.array([0.0] * 10 + [1e6] + [0.0] * 10)
    assert mean_shift(values, 0.0, 1.0)[0].max() < 3


def test_evidence_of_many_streams_is_kept_apart():
    """Each row of several is what it would be alone."""
    ratios = np.random.default_rng(5).normal(size=(3, 40))
    together = cusum(ratios)
    assert all((together[i] == cusum(ratios[i])).all() for i in range(3))


def test_many_streams_together_alarm_as_seldom_as_one():
    """A calm year of 400 streams crosses a bound of 5 no more often than e⁻⁵ a day allows."""
    rng, bound = np.random.default_rng(6), for_streams(5.0, 400)
    shift = 0.8
    crossed = 0
    for _ in range(20):
        paths = cusum(shift * rng.normal(size=(400, 365)) - shift**2 / 2)
        crossed += int((paths.max(axis=1) > bound).any())
    assert crossed <= 20 * 365 * np.exp(-5.0)
