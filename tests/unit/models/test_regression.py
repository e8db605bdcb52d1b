"""One step of the pooled regression is the textbook's, whatever blocks it is computed in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salescast.models.regression import SERIES_SPREAD, Pool

DAYS, WIDTH, K = 12, 3, 4.0


def make_pool(stores: int, items: int, seed: int) -> tuple[Pool, np.ndarray]:
    """Return a pool of random terms and what was sold, the last series missing."""
    rng = np.random.default_rng(seed)
    series = [(s, i) for s in range(stores) for i in range(items)][: stores * items - 1 or 1]
    store, item = np.repeat(series, DAYS, axis=0).T
    x = rng.normal(size=(len(store), WIDTH)) * 0.3
    x[:, 0] = 1.0
    return Pool.of(x, store, item, np.full((2, WIDTH), 0.5)), rng.poisson(3.0, len(x)).astype(float)


def design(pool: Pool) -> np.ndarray:
    """Return the terms as one dense matrix: chain, each store, each item, each series' level."""
    stores, items = pool.shape
    wide = [pool.x]
    wide += [pool.x * (pool.store == s)[:, None] for s in range(stores)]
    wide += [pool.x * (pool.item == i)[:, None] for i in range(items)]
    wide += [
        ((pool.store == s) & (pool.item == i)).astype(float)[:, None]
        for s in range(stores)
        for i in range(items)
    ]
    return np.hstack(wide)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 99))
def test_a_step_solves_the_dense_normal_equations(stores, items, seed):
    """Eliminating store by store changes nothing but the time it takes."""
    pool, y = make_pool(stores, items, seed)
    theta, counted = pool.start(y), np.linspace(0.0, 1.0, len(y))
    x, mean = design(pool), pool.mean(theta)
    weight = counted * mean / (1.0 + mean / K)
    hessian = x.T @ (x * weight[:, None]) + np.diag(pool.penalty)
    gradient = x.T @ (weight * (y - mean) / mean) - pool.penalty * theta

    stepped = pool.newton(theta, y, np.full(len(y), K), counted)

    assert stepped == pytest.approx(theta + np.linalg.solve(hessian, gradient), abs=1e-9)


def test_a_series_never_met_keeps_its_prior():
    """Its level stays at zero, with the prior's spread."""
    pool, y = make_pool(2, 2, 1)
    theta = pool.newton(pool.start(y), y, np.full(len(y), K), np.ones(len(y)))
    assert pool.split(theta)[3][1, 1] == 0.0
    assert pool.penalty[-1] == SERIES_SPREAD**-2
