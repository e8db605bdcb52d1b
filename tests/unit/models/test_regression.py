"""The pooled regression is the textbook's, and a regressor as scikit-learn wants one."""

from contextlib import suppress
from unittest import SkipTest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import parametrize_with_checks

from salescast.models.regression import SERIES_SPREAD, Pool, PooledRegressor, split

DAYS, WIDTH, K = 12, 3, 4.0


def make_rows(stores: int, items: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return random terms, counts and the groups of their rows, the last series missing."""
    rng = np.random.default_rng(seed)
    series = [(s, i) for s in range(stores) for i in range(items)][: stores * items - 1 or 1]
    groups = np.repeat(series, DAYS, axis=0)
    x = rng.normal(size=(len(groups), WIDTH)) * 0.3
    x[:, 0] = 1.0
    return x, rng.poisson(3.0, len(x)).astype(float), groups


def make_pool(stores: int, items: int, seed: int) -> tuple[Pool, np.ndarray, np.ndarray]:
    """Return a pool of random terms, its counts and their groups."""
    x, y, groups = make_rows(stores, items, seed)
    return Pool.of(x, groups, 0.5)[1], y, groups


def design(pool: Pool, groups: np.ndarray) -> np.ndarray:
    """Return the terms as one dense matrix: chain, each store, each item, each series' level."""
    stores, items = pool.shape
    store, item = groups.T
    wide = [pool.x]
    wide += [pool.x * (store == s)[:, None] for s in range(stores)]
    wide += [pool.x * (item == i)[:, None] for i in range(items)]
    wide += [
        ((store == s) & (item == i)).astype(float)[:, None]
        for s in range(stores)
        for i in range(items)
    ]
    return np.hstack(wide)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 99))
def test_a_step_solves_the_dense_normal_equations(stores, items, seed):
    """Eliminating store by store changes nothing but the time it takes."""
    pool, y, groups = make_pool(stores, items, seed)
    theta = pool.start(y)
    x, mean = design(pool, groups), pool.mean(theta)
    weight = np.linspace(0.0, 1.0, len(y)) / (1.0 + mean / K)
    hessian = x.T @ (x * (weight * mean)[:, None]) + np.diag(pool.penalty)
    gradient = x.T @ (weight * (y - mean)) - pool.penalty * theta

    stepped = pool.newton(theta, y, weight)

    assert stepped == pytest.approx(theta + np.linalg.solve(hessian, gradient), abs=1e-9)


def test_a_series_without_rows_keeps_its_prior():
    """Its level stays at zero, with the prior's spread."""
    pool, y, _ = make_pool(2, 2, 1)
    theta = pool.newton(pool.start(y), y, np.ones(len(y)))
    assert split(theta, WIDTH, pool.shape)[3][1, 1] == 0.0
    assert pool.penalty[-1] == SERIES_SPREAD**-2


@pytest.mark.parametrize("seed", range(3))
def test_scikit_learns_regressor_finds_the_same_coefficients(seed):
    """One problem, two solvers."""
    x, y, groups = make_rows(3, 2, seed)
    weight = np.linspace(0.2, 1.0, len(y))
    solver, reference = (
        PooledRegressor(0.5, solver, tol=1e-9).fit(x, y, weight, groups)
        for solver in ("newton", "scikit-learn")
    )
    assert reference.coef_ == pytest.approx(solver.coef_, abs=1e-4)


def test_the_order_of_the_rows_does_not_matter():
    """Rows of a series need not lie in a run."""
    x, y, groups = make_rows(3, 2, 1)
    order = np.random.default_rng(0).permutation(len(y))
    sorted_, mixed = (
        PooledRegressor(0.5).fit(x[at], y[at], groups=groups[at]) for at in (slice(None), order)
    )
    assert mixed.predict(x, groups) == pytest.approx(sorted_.predict(x, groups), rel=1e-9)


EXPECTED_FAILURES = {
    "check_all_zero_sample_weights_error": "a history sold out on every day has no weight, and is "
    "answered by the prior",
}


@parametrize_with_checks(
    [PooledRegressor(), PooledRegressor(solver="scikit-learn")],
    expected_failed_checks=lambda _: EXPECTED_FAILURES,
)
def test_it_passes_scikit_learns_checks_of_a_regressor(estimator, check):
    """Cloning, validation, messages, weights, persistence, and what else it asks for."""
    with suppress(SkipTest):  # the one on array libraries that are not installed
        check(estimator)
