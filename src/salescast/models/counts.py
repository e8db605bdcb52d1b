"""Count distributions: quantiles of negative binomials and of mixtures of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LARGE = 300.0  # from here on one matched negative binomial stands for the mixture


def quantiles(
    weights: Floats, means: Floats, k: Floats, levels: Sequence[float], own: Floats
) -> Floats:
    """Return quantiles of mixtures of negative binomials, shape (n, len(levels) + 1).

    `weights`, `means`: (n, nodes), weights summing to 1; `k`: (n,), variance m + m² ÷ k. Columns
    follow `levels`, the last is the row's `own` level (n,). A quantile is the smallest count
    whose cumulative probability reaches the level.
    """
    asked = np.column_stack([np.broadcast_to(levels, (len(own), len(levels))), own])
    mean = (weights * means).sum(axis=1)
    result = np.empty_like(asked)
    large = (mean > LARGE) | (k > 1e5)  # pmf(0) would underflow, or the recursion lose digits
    if large.any():  # seldom, and SciPy's distributions take a second to import
        result[large] = _matched(weights[large], means[large], k[large], asked[large])
    small = np.flatnonzero(~large)
    # Rows of like size end their recursion together.
    for part in np.array_split(small[np.argsort(mean[small])], max(1, len(small) // 4000)):
        result[part] = _walk(weights[part], means[part], k[part], asked[part])
    return result


def _walk(weights: Floats, means: Floats, k: Floats, asked: Floats) -> Floats:
    """Add up pmf(0), pmf(1), … by the ratio of neighbours until every level is reached."""
    k = k[:, None]
    share = means / (means + k)
    chance = weights * (1.0 - share) ** k
    total, count = chance.sum(axis=1), 0
    result = np.zeros_like(asked)
    open_ = asked > total[:, None] + 1e-12
    while open_.any():
        chance *= share * ((count + k) / (count + 1))
        count += 1
        total += chance.sum(axis=1)
        result[open_] = count
        open_ &= asked > total[:, None] + 1e-12
    return result


def _matched(weights: Floats, means: Floats, k: Floats, asked: Floats) -> Floats:
    """Return quantiles of one negative binomial with the mixture's mean and variance."""
    from scipy.stats import nbinom

    mean = (weights * means).sum(axis=1)
    square = (weights * means**2 * (1.0 + 1.0 / k[:, None])).sum(axis=1)
    size = mean**2 / np.maximum(square - mean**2, 1e-9 * np.maximum(mean, 1e-9) ** 2)
    size = np.clip(size, 1e-3, 1e9)[:, None]
    wanted: Floats = nbinom.ppf(asked, size, size / (size + np.maximum(mean, 1e-12)[:, None]))
    return np.where(mean[:, None] > 0, wanted, 0.0)
