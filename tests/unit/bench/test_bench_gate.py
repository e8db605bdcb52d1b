"""A small sample of `make bench-gate`: the rule on drawn comparisons, without any model."""

import numpy as np
import pandas as pd

from bench.gate import FALSE, MISSED, drawn, figures


def make_costs(noise, skew=0.0):
    """Return what a champion and a rival cost at 104 origins that hang together."""
    rng = np.random.default_rng(4)
    fresh = rng.normal(0, noise, 105)
    saving = fresh[1:] + 0.5 * fresh[:-1] - skew * (rng.random(104) < 0.05)
    return pd.DataFrame({"champion": 10.0, "rival": 10.0 - saving})


def measured(costs):
    """Return the figures of 60 comparisons by their names."""
    return {figure.name: figure.value for figure in figures(costs, count=60)}


def test_a_no_better_rival_is_hardly_ever_promoted():
    """Noise of a tenth of the cost."""
    assert measured(make_costs(1.0))[f"rival: {FALSE}"] <= 0.05


def test_a_cheaper_rival_of_little_noise_is_never_missed():
    """3 % stand out where a week's saving varies by half a percent."""
    assert measured(make_costs(0.05))[f"rival: {MISSED}"] == 0.0


def test_draws_have_no_mean_and_keep_neighbours_together():
    """What is drawn correlates from week to week as what it is drawn from."""
    values = make_costs(1.0)["rival"].to_numpy()
    samples = drawn(values, 2000, 26, run=8)
    assert abs(samples.mean()) < 0.05
    assert np.corrcoef(samples[:, :-1].ravel(), samples[:, 1:].ravel())[0, 1] > 0.2
