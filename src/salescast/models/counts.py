"""The predictive distribution: a mixture of negative binomials for each row."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LARGE = 300.0  # from this mean on, one matched negative binomial replaces the mixture


@dataclass(frozen=True)
class CountMixture:
    """Mixtures of negative binomials, one a row, in units.

    `weights`, `means`: (n, nodes), weights summing to 1; `dispersion`: k, (n,): a component with
    mean m has the variance m + m² ÷ k.
    """

    weights: Floats
    means: Floats
    dispersion: Floats

    @property
    def mean(self) -> Floats:
        """The mean of each row, (n,)."""
        mean: Floats = (self.weights * self.means).sum(axis=1)
        return mean

    @property
    def variance(self) -> Floats:
        """The variance of each row, (n,)."""
        k = self.dispersion[:, None]
        square = self.weights * (self.means**2 * (1.0 + 1.0 / k) + self.means)
        variance: Floats = square.sum(axis=1) - self.mean**2
        return variance

    @property
    def large(self) -> Bools:
        """Rows whose pmf(0) would underflow, or whose recursion would lose digits."""
        large: Bools = (self.mean > LARGE) | (self.dispersion > 1e5)
        return large

    def select(self, rows: NDArray[np.int64] | Bools) -> "CountMixture":
        """Return the mixtures of some rows."""
        return CountMixture(self.weights[rows], self.means[rows], self.dispersion[rows])

    def quantiles(self, levels: Floats) -> Floats:
        """Return the smallest count whose cumulative probability reaches each level, (n, levels).

        `levels`: (n, levels), or (levels,) for all rows alike.
        """
        levels = np.broadcast_to(levels, (len(self.dispersion), np.shape(levels)[-1]))
        result = np.empty(levels.shape)
        large = self.large
        if large.any():  # seldom, and SciPy's distributions take a second to import
            result[large] = self.select(large).matched_quantiles(levels[large])
        small = np.flatnonzero(~large)
        small = small[np.argsort(self.mean[small])]
        # Rows of similar size end their recursion together.
        for part in np.array_split(small, max(1, len(small) // 4000)):
            result[part] = self.select(part).exact_quantiles(levels[part])
        return result

    def cumulative(self) -> Iterator[Floats]:
        """Yield P(D ≤ 0), P(D ≤ 1) … without end, (n,) each, by the ratio of neighbours."""
        k = self.dispersion[:, None]
        share = self.means / (self.means + k)
        chance = self.weights * (1.0 - share) ** k
        total = chance.sum(axis=1)
        for units in count():
            yield total
            chance *= share * ((units + k) / (units + 1))
            total = total + chance.sum(axis=1)

    def exact_quantiles(self, levels: Floats) -> Floats:
        """Return quantiles by adding up probabilities; `levels`: (n, levels)."""
        result = np.zeros_like(levels)
        for units, total in enumerate(self.cumulative()):
            above = levels > total[:, None] + 1e-12
            if not above.any():
                break
            result[above] = units + 1
        return result

    def matched_quantiles(self, levels: Floats) -> Floats:
        """Return quantiles of one negative binomial with the mixture's mean and variance."""
        from scipy.stats import nbinom

        mean, k = self.mean, self.dispersion[:, None]
        square = (self.weights * self.means**2 * (1.0 + 1.0 / k)).sum(axis=1)
        size = mean**2 / np.maximum(square - mean**2, 1e-9 * np.maximum(mean, 1e-9) ** 2)
        size = np.clip(size, 1e-3, 1e9)[:, None]
        quantiles: Floats = nbinom.ppf(
            levels, size, size / (size + np.maximum(mean, 1e-12)[:, None])
        )
        return np.where(mean[:, None] > 0, quantiles, 0.0)
