"""Tests that may be repeated every day: evidence that grows until there is enough of it.

A p-value computed daily is small sooner or later. Here each day's evidence multiplies the evidence
before, or starts at 1 again where that fell below 1. Without a change it takes at least e^h days on
average until the logarithm reaches h (Lorden 1971 for likelihood ratios; Shin, Ramdas & Rinaldo
2023, e-detectors, for bets). Where S tests run side by side, `for_streams` adds log S to h: then
all together keep that average. Arrays are (…, days), oldest first; results are logarithms.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHIFT, LARGEST = 1.5, 2.5  # noises: the shift tested for; a day counts for no more than LARGEST
STAKES = (0.2, 0.4, 0.8)  # shares of the capital at risk
MAX_CORRELATION = 0.8  # between days; a higher estimate is a trend


def cusum(log_ratios: Floats) -> Floats:
    """Return the running evidence of daily log likelihood ratios (Page 1954)."""
    log_ratios = np.asarray(log_ratios, dtype=float)
    total, result = np.zeros(log_ratios.shape[:-1]), np.empty(log_ratios.shape)
    for day in range(log_ratios.shape[-1]):
        total = np.maximum(total, 0.0) + log_ratios[..., day]
        result[..., day] = total
    return result


def for_streams(evidence: float, streams: int) -> float:
    """Return the evidence that each of `streams` tests needs, so that all together need `evidence`.

    The union bound over streams (Bonferroni).
    """
    return evidence + float(np.log(max(streams, 1)))


def bets(values: Floats, usual: float, tolerance: float) -> tuple[Floats, Floats]:
    """Return the evidence that values in [0, 1] lie above usual + tolerance, and below it.

    Valid for any distribution of the values (Waudby-Smith & Ramdas 2024): each day a share of the
    capital is bet on the value's side of the bound. The mean over stakes is a martingale as well.
    """
    upper, lower = min(usual + tolerance, 0.99), max(usual - tolerance, 0.01)
    return _bets(values - upper, upper), _bets(lower - values, 1.0 - lower)


def _bets(gains: Floats, worst: float) -> Floats:
    paths = cusum(np.log1p(np.multiply.outer(STAKES, gains) / worst))
    result: Floats = np.log(np.exp(paths).mean(axis=0))
    return result


def mean_shift(
    values: Floats, usual: float, noise: float | Floats, correlation: float | Floats = 0.0
) -> list[Floats]:
    """Return the evidence that values lie SHIFT noises above `usual`, and that they lie below it.

    Likelihood ratios of the normal distribution for an AR(1) with `correlation` from day to day; a
    value further away than LARGEST counts as LARGEST. `noise`, `correlation`: numbers or (…, 1).
    """
    z = np.clip((values - usual) / noise, -LARGEST, LARGEST)
    kept = np.sqrt(1.0 - np.square(correlation))
    z[..., 1:] = (z[..., 1:] - correlation * z[..., :-1]) / kept
    shift = SHIFT * (1.0 - correlation) / kept  # of the uncorrelated remainder
    return [cusum(side * shift * z - np.square(shift) / 2.0) for side in (1.0, -1.0)]


def day_correlation(values: Floats) -> float:
    """Return the correlation of values from day to day, between 0 and MAX_CORRELATION."""
    apart = values - values.mean()
    square = float(apart @ apart)
    estimate = float(apart[1:] @ apart[:-1]) / square if square > 0 else 0.0
    return min(max(estimate, 0.0), MAX_CORRELATION)
