"""Scores, one signature: `metric(actual, forecast, …) -> float`, shapes (n,), units of demand.

Sums come before ratios, so series count by their sales. An empty input scores NaN.
Definitions follow Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd ed.), ch. 5.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def wape(actual: Values, median: Values) -> float:
    """Return Σ|actual − median| ÷ Σ actual. The median minimises it."""
    return _ratio(np.abs(actual - median).sum(), actual.sum())


def bias(actual: Values, mean: Values) -> float:
    """Return Σ(mean − actual) ÷ Σ actual; positive means over-forecast."""
    return _ratio((mean - actual).sum(), actual.sum())


def rmse(actual: Values, mean: Values) -> float:
    """Return the root of the mean squared error of the mean, in units."""
    return float(np.sqrt(np.mean((mean - actual) ** 2))) if len(actual) else float("nan")


def pinball(actual: Values, forecast: Values, quantile: float) -> float:
    """Return the mean pinball loss of one quantile, in units."""
    miss = actual - forecast
    loss = np.maximum(quantile * miss, (quantile - 1) * miss)
    return float(loss.mean()) if len(actual) else float("nan")


def wql(actual: Values, forecasts: Values, quantiles: Sequence[float]) -> float:
    """Return the weighted quantile loss: 2 Σ pinball ÷ Σ actual, averaged over quantiles.

    `forecasts` has shape (n, len(quantiles)).
    """
    losses = [pinball(actual, forecasts[:, i], q) for i, q in enumerate(quantiles)]
    return _ratio(2 * float(np.mean(losses)) * len(actual), actual.sum())


def coverage(actual: Values, low: Values, high: Values) -> float:
    """Return the share of outcomes inside [low, high]."""
    return float(((actual >= low) & (actual <= high)).mean()) if len(actual) else float("nan")


def skill(score: float, baseline: float) -> float:
    """Return 1 − score ÷ baseline; 0 is no better than the baseline, 1 is perfect."""
    return 1.0 - _ratio(score, baseline)
