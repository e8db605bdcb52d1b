"""Pooled count regression: coefficients of a chain, and departures of its stores and items.

Each term's coefficient is that of the chain plus the item's and the store's departures from it,
shrunk towards zero (ridge as a normal prior, Gelman & Hill 2007, ch. 12): much data speak, few
lean on the chain. All departures share the same terms, so one small Gram matrix per series holds
all that the normal equations need, and a step costs one pass over the days.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVEL = 0  # the first term is the constant
SERIES_SPREAD = 0.3  # of a series' own level beyond its store's and its item's
MAX_LOG = 14.0  # 1.2 million units a day, beyond the contract: keeps a step from overflowing


@dataclass(frozen=True)
class Pool:
    """The days, ordered by series, and where each series' coefficients stand in one vector."""

    x: Floats
    store: Ints
    item: Ints
    shape: tuple[int, int]
    bounds: tuple[tuple[int, int, int, int], ...]
    penalty: Floats

    @classmethod
    def of(cls, x: Floats, store: Ints, item: Ints, spread: Floats) -> "Pool":
        """Find each series' run of days; rows must be ordered by store and item.

        `x`: terms (n, width); `spread` (2, width): how far the chain may plausibly be
        from zero, and a store or an item from the chain, as prior standard deviations.
        """
        shape = int(store.max()) + 1, int(item.max()) + 1
        code = store * shape[1] + item
        starts = np.flatnonzero(np.r_[True, np.diff(code) != 0])
        ends = np.r_[starts[1:], len(code)]
        bounds = [
            (int(a), int(b), int(store[a]), int(item[a])) for a, b in zip(starts, ends, strict=True)
        ]
        sizes = np.r_[
            spread[0],
            np.tile(spread[1], shape[0]),
            np.tile(spread[1], shape[1]),
            np.full(shape[0] * shape[1], SERIES_SPREAD),
        ]
        return cls(x, store, item, shape, tuple(bounds), sizes**-2.0)

    def split(self, theta: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Return the chain's, the stores', the items' coefficients and the series' levels."""
        stores, items = self.shape
        width = self.x.shape[1]
        cuts = np.cumsum([width, stores * width, items * width])
        chain, store, item, series = np.split(theta, cuts)
        return (
            chain,
            store.reshape(stores, width),
            item.reshape(items, width),
            series.reshape(stores, items),
        )

    def start(self, y: Floats) -> Floats:
        """Return coefficients that expect the mean everywhere."""
        theta = np.zeros(len(self.penalty))
        theta[LEVEL] = np.log(max(y.mean(), 1e-3))
        return theta

    def mean(self, theta: Floats) -> Floats:
        """Return the expected demand of each day."""
        chain, store, item, series = self.split(theta)
        eta = np.empty(len(self.x))
        for a, b, s, i in self.bounds:
            eta[a:b] = self.x[a:b] @ (chain + store[s] + item[i]) + series[s, i]
        return np.exp(np.clip(eta, -MAX_LOG, MAX_LOG))

    def newton(self, theta: Floats, y: Floats, k: Floats, counted: Floats) -> Floats:
        """Return the coefficients after one Fisher-scoring step; `counted` weighs the days.

        Stores meet only in the chain's and the items' coefficients, so the Hessian is an arrow:
        what is a store's own is eliminated first (Schur complement), store by store.
        """
        mean = self.mean(theta)
        weight = counted * mean / (1.0 + mean / k)
        top, cross, own, pull = self._normal(weight, weight * (y - mean) / mean)
        pull = pull - self.penalty * theta
        common, theirs = self._places()
        rhs = np.concatenate([cross.transpose(0, 2, 1), pull[theirs][..., None]], axis=2)
        solved = np.linalg.solve(own, rhs)
        schur = top - np.einsum("sij,sjk->ik", cross, solved[..., :-1])
        step = np.zeros_like(theta)
        step[common] = np.linalg.solve(
            schur, pull[common] - np.einsum("sij,sj->i", cross, solved[..., -1])
        )
        step[theirs] = solved[..., -1] - solved[..., :-1] @ step[common]
        return theta + step

    def _places(self) -> tuple[Ints, Ints]:
        """Return where the shared unknowns stand, and each store's own (stores, width + items)."""
        (stores, items), width = self.shape, self.x.shape[1]
        levels = width * (1 + stores + items)
        common = np.r_[:width, width * (1 + stores) : levels]
        own = width + np.arange(stores * width).reshape(stores, width)
        level = levels + np.arange(stores * items).reshape(stores, items)
        return common, np.concatenate([own, level], axis=1)

    def _normal(self, weight: Floats, score: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Return the Hessian's shared, mixed and own blocks, and the gradient without penalty."""
        (stores, items), width = self.shape, self.x.shape[1]
        common, theirs = self._places()
        top, pull = np.diag(self.penalty[common]), np.zeros_like(self.penalty)
        cross = np.zeros((stores, len(common), width + items))
        own = np.apply_along_axis(np.diag, 1, self.penalty[theirs])
        for a, b, s, i in self.bounds:
            x = self.x[a:b]
            gram, slope = x.T @ (x * weight[a:b, None]), x.T @ score[a:b]
            at, level = np.r_[:width, width * (1 + i) : width * (2 + i)], width + i
            top[np.ix_(at, at)] += np.tile(gram, (2, 2))
            cross[s][at, :width] += np.tile(gram, (2, 1))
            cross[s][at, level] += np.tile(gram[LEVEL], 2)
            own[s][:width, :width] += gram
            own[s][:width, level] += gram[LEVEL]
            own[s][level, :width] += gram[LEVEL]
            own[s][level, level] += gram[LEVEL, LEVEL]
            pull[common[at]] += np.tile(slope, 2)
            pull[theirs[s, :width]] += slope
            pull[theirs[s, level]] += slope[LEVEL]
        return top, cross, own, pull
