"""A small sample of `make bench-verdicts`."""

import numpy as np
import pytest

from bench import verdicts


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    """Simulate 400 histories instead of 10,000."""
    monkeypatch.setattr(verdicts, "HISTORIES", 400)
    monkeypatch.setattr(verdicts, "CHUNK", 100)
    monkeypatch.setattr(verdicts, "CORRELATIONS", (0.35,))


@pytest.mark.parametrize("part", [verdicts.gate, verdicts.canary])
def test_decisions_hold_their_error_rates(part):
    """With the correlation, skewness and overlap of life."""
    assert [figure.name for figure in part() if not figure.holds] == []


def test_resamples_have_no_mean_and_keep_neighbours_together():
    """They are correlated as the values they are drawn from."""
    rng = np.random.default_rng(4)
    values = np.convolve(rng.normal(size=105), [1.0, 0.6], "valid")
    samples = verdicts.drawn(values, 2000, 26, 8, rng)
    assert abs(samples.mean()) < 0.05
    assert np.corrcoef(samples[:, :-1].ravel(), samples[:, 1:].ravel())[0, 1] > 0.2
