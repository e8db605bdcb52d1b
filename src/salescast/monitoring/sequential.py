"""Tests that may be looked at every day: evidence that grows until it is enough.

A p-value looked at daily finds something sooner or later. These do not: each day's evidence
multiplies what was there before, or starts anew at 1 where it had fallen below, so that in a world
without change it takes at least e^h days on average until the logarithm reaches h (Lorden 1971
for likelihood ratios; Shin, Ramdas & Rinaldo 2023, E-detectors, for bets).
Arrays are (days,), oldest first; what is returned is the log of the evidence at each day's close.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOVED, ODD = 1.5, 2.5  # noises: a move worth evidence; one day counts for no more than this
STAKES = (0.2, 0.4, 0.8)  # shares of the capital at risk; who is right about it earns most


def gathered(news: Floats) -> Floats:
    """Return the running evidence of daily log likelihood ratios (Page 1954: CUSUM)."""
    total, found = 0.0, np.empty(len(news))
    for day, value in enumerate(news):
        total = max(total, 0.0) + value
        found[day] = total
    return found


def beyond(values: Floats, usual: float, tolerance: float) -> tuple[Floats, Floats]:
    """Return the evidence that values in [0, 1] lie above usual + tolerance, and below it.

    A fair game under the null, whatever the values' distribution and however days within one hang
    together (Waudby-Smith & Ramdas 2024, betting): each day stakes a share of the capital on the
    value's side of the bound. The mean over stakes is a martingale, too.
    """
    upper, lower = min(usual + tolerance, 0.99), max(usual - tolerance, 0.01)
    return _bets(values - upper, upper), _bets(lower - values, 1.0 - lower)


def _bets(gains: Floats, worst: float) -> Floats:
    news = np.log1p(np.outer(STAKES, gains) / worst)
    each = np.stack([gathered(row) for row in news])
    result: Floats = np.log(np.exp(each).mean(axis=0))
    return result


def moved(values: Floats, usual: float, noise: float) -> tuple[Floats, Floats]:
    """Return the evidence that values lie MOVED noises above `usual`, and as far below it.

    Likelihood ratios of the normal distribution; a value further off than ODD counts as ODD.
    """
    z = np.clip((values - usual) / noise, -ODD, ODD)
    half = MOVED**2 / 2.0
    return gathered(MOVED * z - half), gathered(-MOVED * z - half)
