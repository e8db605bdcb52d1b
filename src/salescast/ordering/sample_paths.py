"""Sample paths: days ahead of one origin depend on each other, because one issue of weather errs.

A Gaussian copula over leads couples the predictive distributions of single days (Sklar 1959; for
forecasts Schefzik, Thorarinsdottir & Gneiting 2013). What was not known at the origin has a part
that carries on from day to day, an AR(1), and a part that does not; how large and how long is
learned from the residuals of forecasts whose outcome is known. Every series and origin meets the
same fixed draws, stratified at each lead: a path costs no luck, and no series moves another.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.models import counts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mixture = tuple[Floats, Floats, Floats]  # weights and means (n, nodes), k (n,): model.distribution

PATHS = 500
SEED = 3  # of the fixed draws; any will do
LAGS = 4  # days apart that residuals are compared: beyond them correlation drowns in noise
PRIOR = 500.0  # days by which an item leans on the chain
MAX_DECAY = 0.95


@dataclass(frozen=True)
class Dependence:
    """`share`, by item: of a day's variance, what carries on. `decay`: what is left a day later.

    Two days d apart correlate by share × decay^d. `usual` is the share of an item not named.
    """

    decay: float
    share: Mapping[str, float]
    usual: float


def moments(mixture: Mixture) -> tuple[Floats, Floats]:
    """Return the mean and the variance of each mixture, (n,) each."""
    weights, means, k = mixture
    mean: Floats = (weights * means).sum(axis=1)
    square = (weights * (means**2 * (1.0 + 1.0 / k[:, None]) + means)).sum(axis=1)
    return mean, square - mean**2


def learn(rows: pd.DataFrame, said: tuple[Floats, Floats], truth: pd.DataFrame) -> Dependence:
    """Learn from forecasts whose outcome is known how residuals of one origin hang together.

    `rows`: as `features.build` orders them, all leads of a series and origin in a run; `said`:
    the `moments` of what the model said of them; `truth`: store_id, item_id, date and `demand`.
    Rows without an outcome count for nothing.
    """
    mean, variance = said
    key = ["store_id", "item_id", "date"]
    known = rows[key].merge(truth[[*key, "demand"]], on=key, how="left")["demand"].to_numpy(float)
    horizon = int(rows["lead_time"].max())
    residual = (known - mean).reshape(-1, horizon)
    spread = np.where(np.isnan(residual), np.nan, np.sqrt(variance).reshape(-1, horizon))
    items, item = np.unique(rows["item_id"].to_numpy(str)[::horizon], return_inverse=True)
    together, apart = (_by_lag(v, item, len(items)) for v in (residual, spread))
    decay, usual = _carried(together.sum(axis=1) / np.maximum(apart.sum(axis=1), 1e-9))
    fading = decay ** np.arange(1, LAGS + 1)[:, None]
    own = (fading * together).sum(axis=0) / np.maximum((fading**2 * apart).sum(axis=0), 1e-9)
    days = np.bincount(item, (~np.isnan(residual)).sum(axis=1), len(items))
    share = np.clip((days * own + PRIOR * usual) / (days + PRIOR), 0.0, 1.0)
    return Dependence(decay, dict(zip(map(str, items), map(float, share), strict=True)), usual)


def _by_lag(values: Floats, item: Ints, items: int) -> Floats:
    """Return the sum of products of values 1 … LAGS leads apart, (LAGS, items)."""
    products = [np.nansum(values[:, :-d] * values[:, d:], axis=1) for d in range(1, LAGS + 1)]
    return np.stack([np.bincount(item, p, items) for p in products])


def _carried(correlation: Floats) -> tuple[float, float]:
    """Return (decay, share) whose share × decay^d is nearest to the correlation at each lag d."""
    decays = np.linspace(0.05, MAX_DECAY, 91)
    fading = decays[:, None] ** np.arange(1, LAGS + 1)
    share = np.clip((fading * correlation).sum(axis=1) / (fading**2).sum(axis=1), 0.0, 1.0)
    best = int(((share[:, None] * fading - correlation) ** 2).sum(axis=1).argmin())
    return float(decays[best]), float(share[best])


def sample(rows: pd.DataFrame, mixture: Mixture, dependence: Dependence) -> Floats:
    """Return sample paths of demand, units, shape (series and origins, PATHS, leads).

    `rows` and `mixture` as in `learn`; the first axis follows the runs of rows. Each lead's values
    are the PATHS mid-quantiles of its own distribution, so that dependence changes no single day.
    """
    horizon = int(rows["lead_time"].max())
    table = _quantiles(*mixture)
    of_item = rows["item_id"].to_numpy(str)[::horizon]
    result = np.empty((len(of_item), PATHS, horizon))
    for item in np.unique(of_item):
        rank = _ranks(dependence.decay, dependence.share.get(item, dependence.usual), horizon)
        here = np.flatnonzero(of_item == item)
        own = table.reshape(-1, horizon, PATHS)[here].transpose(0, 2, 1)
        result[here] = np.take_along_axis(own, rank[None], axis=1)
    return result


def _quantiles(weights: Floats, means: Floats, k: Floats) -> Floats:
    """Return the PATHS mid-quantiles of each mixture, (n, PATHS), rising."""
    mean = (weights * means).sum(axis=1)
    result = np.empty((len(k), PATHS))
    large = (mean > counts.LARGE) | (k > 1e5)
    levels, own = [(i + 0.5) / PATHS for i in range(PATHS)], np.full(large.sum(), 0.5)
    some = counts.quantiles(weights[large], means[large], k[large], levels, own)
    result[large] = some[:, :PATHS]
    small = np.flatnonzero(~large)
    # Rows of like size end their table together.
    for part in np.array_split(small[np.argsort(mean[small])], max(1, len(small) // 500)):
        reached = np.floor(PATHS * _cumulative(weights[part], means[part], k[part]) + 0.5)
        reached[:, -1] = PATHS
        each = (reached - np.pad(reached[:, :-1], ((0, 0), (1, 0)))).astype(np.int64)
        units = np.broadcast_to(np.arange(each.shape[1]), each.shape)
        result[part] = np.repeat(units.ravel(), each.ravel()).reshape(-1, PATHS)
    return result


def _cumulative(weights: Floats, means: Floats, k: Floats) -> Floats:
    """Return P(D ≤ 0), P(D ≤ 1) … up to beyond the last mid-quantile of every row."""
    k = k[:, None]
    share = means / (means + k)
    chance = weights * (1.0 - share) ** k
    columns = [chance.sum(axis=1)]
    while columns[-1].min(initial=1.0) < 1.0 - 0.4 / PATHS:
        chance *= share * ((len(columns) - 1 + k) / len(columns))
        columns.append(columns[-1] + chance.sum(axis=1))
    return np.column_stack(columns)


def _ranks(decay: float, share: float, horizon: int) -> Ints:
    """Return the rank of each path among all at each lead, (PATHS, horizon)."""
    carried, fresh = _draws(horizon)
    for day in range(1, horizon):
        carried[:, day] = decay * carried[:, day - 1] + np.sqrt(1.0 - decay**2) * carried[:, day]
    latent = np.sqrt(share) * carried + np.sqrt(1.0 - share) * fresh
    ranks: Ints = latent.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    return ranks


def _draws(horizon: int) -> tuple[Floats, Floats]:
    """Return two sets of unit normals (PATHS, horizon), antithetic: each path has its mirror."""
    from scipy.special import ndtri

    # Raw bits and an inverse: numpy promises no more of a generator's stream (NEP 19).
    raw = np.random.Philox(SEED).random_raw(PATHS // 2 * 2 * horizon)
    half = ndtri(((raw >> np.uint64(11)) + 0.5) * 2.0**-53).reshape(2, PATHS // 2, horizon)
    carried, fresh = np.concatenate([half, -half], axis=1)
    return carried, fresh
