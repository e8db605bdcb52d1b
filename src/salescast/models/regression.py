"""Pooled count regression: coefficients of a chain, and departures of its stores and items.

Each term's coefficient is that of the chain plus the item's and the store's departures from it,
shrunk towards zero (ridge as a normal prior, Gelman & Hill 2007, ch. 12): much data speak, few
lean on the chain. All departures share the same terms, so one small Gram matrix per series holds
all that the normal equations need, and a step costs one pass over the days.
"""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVEL = 0  # the term of which each series has a departure of its own: the constant
SERIES_SPREAD = 0.3  # of a series' own level beyond its store's and its item's
MAX_LOG = 14.0  # 1.2 million units a day: keeps a step from overflowing


class PooledRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Poisson regression with a log link, its coefficients pooled over stores and items.

    `X`: terms (n, width), of which each series has its own departure of the first (the constant);
    `groups`: store and item of each row as codes from 0, (n, 2), default: all rows are one series.
    `spread`: prior standard deviations, (2, width) or what broadcasts to it: of the chain's
    coefficients from zero, and of a store's or an item's from the chain's. `solver`: "newton" (our
    Fisher scoring) or "scikit-learn" (its PoissonRegressor on the same problem as a sparse matrix).
    `coef_`: see `split`.
    """

    def __init__(
        self,
        spread: Any = 1.0,
        solver: Literal["newton", "scikit-learn"] = "newton",
        max_iter: int = 100,
        tol: float = 1e-6,
        warm_start: bool = False,
    ) -> None:
        """Keep the parameters."""
        self.spread = spread
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start

    coef_: Floats

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Ints | None = None) -> Self:
        """Fit to counts `y`; with `warm_start`, from the coefficients of the last fit."""
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        if (y < 0).any():
            raise ValueError("Negative values in y: a count is at least 0")
        weight = _check_sample_weight(
            sample_weight, X, dtype=np.float64, allow_all_zero_weights=True
        )
        order, pool = Pool.of(X, groups, self.spread)
        y, weight = np.asarray(y, dtype=np.float64)[order], weight[order]
        warm = self.warm_start and hasattr(self, "coef_")
        self.coef_ = self.coef_ if warm else pool.start(y)
        self.shape_ = pool.shape
        step = pool.newton if self.solver == "newton" else pool.poisson_regressor
        for iteration in range(1, self.max_iter + 1):
            self.n_iter_ = iteration
            last, self.coef_ = self.coef_, step(self.coef_, y, weight)
            if np.abs(self.coef_ - last).max() <= self.tol:
                break
        return self

    def predict(self, X: Any, groups: Ints | None = None) -> Floats:
        """Return the expected count of each row, (n,)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        order, pool = Pool.of(X, groups, self.spread, self.shape_)
        mean = np.empty(len(X))
        mean[order] = pool.mean(self.coef_)
        return mean

    def coefficients(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Return those of the chain, the stores, the items, and the levels of the series."""
        return split(self.coef_, self.n_features_in_, self.shape_)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: counts are not negative."""
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        tags.regressor_tags.poor_score = True  # a log link on data with negative outcomes
        return tags


def split(
    theta: Floats, width: int, shape: tuple[int, int]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the chain's, the stores', the items' coefficients and the series' levels."""
    stores, items = shape
    chain, store, item, series = np.split(theta, width * np.array([1, 1 + stores, 1 + sum(shape)]))
    return chain, store.reshape(-1, width), item.reshape(-1, width), series.reshape(stores, items)


@dataclass(frozen=True)
class Pool:
    """Rows ordered by series, and where each series' coefficients stand in one vector."""

    x: Floats
    shape: tuple[int, int]
    runs: tuple[tuple[int, int, int, int], ...]
    penalty: Floats

    @classmethod
    def of(
        cls,
        x: Floats,
        groups: Ints | None,
        spread: Any,
        shape: tuple[int, int] | None = None,
    ) -> tuple[Any, "Pool"]:
        """Return the order of rows (an index) that puts each series' rows in one run, and the pool.

        `groups`, `spread`: see `PooledRegressor`; `shape`: numbers of stores and of items.
        """
        groups = np.zeros((len(x), 2), dtype=np.int64) if groups is None else groups
        stores, items = shape or (int(n) + 1 for n in groups.max(axis=0))
        code = groups[:, 0] * items + groups[:, 1]
        order: Any = slice(None) if (np.diff(code) >= 0).all() else np.argsort(code, kind="stable")
        code = code[order]
        starts = np.flatnonzero(np.r_[True, np.diff(code) != 0])
        ends = np.r_[starts[1:], len(code)]
        runs = [
            (int(a), int(b), *divmod(int(code[a]), items))
            for a, b in zip(starts, ends, strict=True)
        ]
        chain, own = np.broadcast_to(spread, (2, x.shape[1]))
        spreads = [chain, np.tile(own, stores + items), np.full(stores * items, SERIES_SPREAD)]
        return order, cls(x[order], (stores, items), tuple(runs), np.concatenate(spreads) ** -2.0)

    def start(self, y: Floats) -> Floats:
        """Return coefficients that expect the mean everywhere."""
        theta = np.zeros(len(self.penalty))
        if (self.x[:, LEVEL] == 1.0).all():
            theta[LEVEL] = np.log(max(y.mean(), 1e-3))
        return theta

    def mean(self, theta: Floats) -> Floats:
        """Return the expected demand of each row."""
        chain, store, item, series = split(theta, self.x.shape[1], self.shape)
        eta = np.empty(len(self.x))
        for a, b, s, i in self.runs:
            x = self.x[a:b]
            eta[a:b] = x @ (chain + store[s] + item[i]) + series[s, i] * x[:, LEVEL]
        return np.exp(np.clip(eta, -MAX_LOG, MAX_LOG))

    def newton(self, theta: Floats, y: Floats, weight: Floats) -> Floats:
        """Return the coefficients after one Fisher-scoring step; `weight` weighs the rows.

        Stores meet only in the chain's and the items' coefficients, so the Hessian is an arrow:
        what is a store's own is eliminated first (Schur complement), store by store.
        """
        mean = self.mean(theta)
        shared_block, cross, own, gradient = self._normal(weight * mean, weight * (y - mean))
        gradient = gradient - self.penalty * theta
        shared, of_store = self._places()
        rhs = np.concatenate([cross.transpose(0, 2, 1), gradient[of_store][..., None]], axis=2)
        solved = np.linalg.solve(own, rhs)
        schur = shared_block - np.einsum("sij,sjk->ik", cross, solved[..., :-1])
        step = np.zeros_like(theta)
        step[shared] = np.linalg.solve(
            schur, gradient[shared] - np.einsum("sij,sj->i", cross, solved[..., -1])
        )
        step[of_store] = solved[..., -1] - solved[..., :-1] @ step[shared]
        return theta + step

    def poisson_regressor(self, theta: Floats, y: Floats, weight: Floats) -> Floats:
        """Return the coefficients that scikit-learn finds, starting from `theta`."""
        from sklearn.linear_model import PoissonRegressor

        if not weight.any():  # the prior alone decides
            return np.zeros_like(theta)
        # Columns in units of their prior, and the penalty as a share of the weights: the same sum.
        scale = self.penalty**-0.5
        model = PoissonRegressor(
            alpha=1.0 / weight.sum(), fit_intercept=False, solver="newton-cholesky", warm_start=True
        )
        model.coef_ = theta / scale
        model.fit(self._design().multiply(scale).tocsr(), y, weight)
        coefficients: Floats = model.coef_ * scale
        return coefficients

    def _design(self) -> Any:
        """Return the terms as one sparse matrix: chain, stores, items, levels of series."""
        from scipy.sparse import csr_array

        (stores, items), width, n = self.shape, self.x.shape[1], len(self.x)
        store, item = np.concatenate([np.tile([s, i], (b - a, 1)) for a, b, s, i in self.runs]).T
        first = width * np.column_stack([0 * store, 1 + store, 1 + stores + item])
        terms = (first[:, :, None] + np.arange(width)).reshape(n, -1)
        columns = np.column_stack([terms, width * (1 + stores + items) + store * items + item])
        values = np.hstack([self.x, self.x, self.x, self.x[:, [LEVEL]]])
        starts = np.arange(n + 1) * columns.shape[1]
        return csr_array((values.ravel(), columns.ravel(), starts), (n, len(self.penalty)))

    def _places(self) -> tuple[Ints, Ints]:
        """Return where the shared unknowns stand, and each store's own (stores, width + items)."""
        (stores, items), width = self.shape, self.x.shape[1]
        levels = width * (1 + stores + items)
        shared = np.r_[:width, width * (1 + stores) : levels]
        own = width + np.arange(stores * width).reshape(stores, width)
        level = levels + np.arange(stores * items).reshape(stores, items)
        return shared, np.concatenate([own, level], axis=1)

    def _normal(self, weight: Floats, score: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Return the Hessian's shared, mixed and own blocks, and the gradient without penalty."""
        (stores, items), width = self.shape, self.x.shape[1]
        shared, of_store = self._places()
        block, gradient = np.diag(self.penalty[shared]), np.zeros_like(self.penalty)
        cross = np.zeros((stores, len(shared), width + items))
        own = np.apply_along_axis(np.diag, 1, self.penalty[of_store])
        shared_terms, own_terms = np.r_[:width, :width], np.r_[:width, LEVEL]
        for a, b, s, i in self.runs:
            x = self.x[a:b]
            gram, slope = x.T @ (x * weight[a:b, None]), x.T @ score[a:b]
            at, mine = np.r_[:width, width * (1 + i) : width * (2 + i)], np.r_[:width, width + i]
            block[np.ix_(at, at)] += gram[np.ix_(shared_terms, shared_terms)]
            cross[s][np.ix_(at, mine)] += gram[np.ix_(shared_terms, own_terms)]
            own[s][np.ix_(mine, mine)] += gram[np.ix_(own_terms, own_terms)]
            gradient[shared[at]] += slope[shared_terms]
            gradient[of_store[s, mine]] += slope[own_terms]
        return block, cross, own, gradient
