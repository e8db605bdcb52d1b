"""Sample paths of demand whose days depend on each other.

A Gaussian copula over leads couples the predictive distributions of single days (Sklar 1959; for
forecasts Schefzik, Thorarinsdottir & Gneiting 2013). A forecast error has a part that persists from
day to day, an AR(1), and a part that does not; both are estimated from residuals of forecasts with
known outcomes. All series and origins use the same fixed draws, stratified at each lead, so results
are repeatable and one series does not affect another.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.models.counts import CountMixture

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PATHS = 500
SEED = 3  # of the fixed draws; any will do
LAGS = 4  # days; correlations at longer lags are mostly noise
PRIOR = 500.0  # days of evidence that an item borrows from the whole chain
MAX_DECAY = 0.95


@dataclass(frozen=True)
class Dependence:
    """The persistent `share` of a day's variance by item, and its daily `decay`.

    Days d apart have correlation share × decay^d. `usual`: the share of an item that is not named.
    """

    decay: float
    share: Mapping[str, float]
    usual: float


def learn(
    rows: pd.DataFrame, forecast_moments: tuple[Floats, Floats], truth: pd.DataFrame
) -> Dependence:
    """Return the dependence between residuals of one origin, from forecasts with known outcomes.

    `rows`: feature rows, all leads of a series and origin in a run; `forecast_moments`: mean
    and variance of their forecasts; `truth`: store_id, item_id, date and `demand`. Rows without an
    outcome are ignored.
    """
    mean, variance = forecast_moments
    key = ["store_id", "item_id", "date"]
    demand = rows[key].merge(truth[[*key, "demand"]], on=key, how="left")["demand"].to_numpy(float)
    horizon = int(rows["lead_time"].max())
    residual = (demand - mean).reshape(-1, horizon)
    spread = np.where(np.isnan(residual), np.nan, np.sqrt(variance).reshape(-1, horizon))
    items, item = np.unique(rows["item_id"].to_numpy(str)[::horizon], return_inverse=True)
    products, scale = (_by_lag(v, item, len(items)) for v in (residual, spread))
    decay, usual = _fit_decay(products.sum(axis=1) / np.maximum(scale.sum(axis=1), 1e-9))
    fading = decay ** np.arange(1, LAGS + 1)[:, None]
    own = (fading * products).sum(axis=0) / np.maximum((fading**2 * scale).sum(axis=0), 1e-9)
    days = np.bincount(item, (~np.isnan(residual)).sum(axis=1), len(items))
    share = np.clip((days * own + PRIOR * usual) / (days + PRIOR), 0.0, 1.0)
    return Dependence(decay, dict(zip(map(str, items), map(float, share), strict=True)), usual)


def _by_lag(values: Floats, item: Ints, items: int) -> Floats:
    """Return the sum of products of values 1 … LAGS leads apart, (LAGS, items)."""
    products = [np.nansum(values[:, :-d] * values[:, d:], axis=1) for d in range(1, LAGS + 1)]
    return np.stack([np.bincount(item, p, items) for p in products])


def _fit_decay(correlation: Floats) -> tuple[float, float]:
    """Return (decay, share) that fit share × decay^d to the correlation at each lag d."""
    decays = np.linspace(0.05, MAX_DECAY, 91)
    fading = decays[:, None] ** np.arange(1, LAGS + 1)
    share = np.clip((fading * correlation).sum(axis=1) / (fading**2).sum(axis=1), 0.0, 1.0)
    best = int(((share[:, None] * fading - correlation) ** 2).sum(axis=1).argmin())
    return float(decays[best]), float(share[best])


def sample(rows: pd.DataFrame, mixture: CountMixture, dependence: Dependence) -> Floats:
    """Return sample paths of demand, units, shape (series and origins, PATHS, leads).

    `rows` and `mixture` as in `learn`; the first axis follows the runs of rows. Each lead's values
    are the PATHS mid-quantiles of its own distribution, so dependence does not change single days.
    """
    horizon = int(rows["lead_time"].max())
    table = _quantiles(mixture)
    of_item = rows["item_id"].to_numpy(str)[::horizon]
    result = np.empty((len(of_item), PATHS, horizon))
    for item in np.unique(of_item):
        rank = _ranks(dependence.decay, dependence.share.get(item, dependence.usual), horizon)
        here = np.flatnonzero(of_item == item)
        own = table.reshape(-1, horizon, PATHS)[here].transpose(0, 2, 1)
        result[here] = np.take_along_axis(own, rank[None], axis=1)
    return result


def _quantiles(mixture: CountMixture) -> Floats:
    """Return the PATHS mid-quantiles of each mixture, (n, PATHS), rising."""
    result = np.empty((len(mixture.dispersion), PATHS))
    large = mixture.large
    result[large] = mixture.select(large).quantiles((np.arange(PATHS) + 0.5) / PATHS)
    small = np.flatnonzero(~large)
    small = small[np.argsort(mixture.mean[small])]
    # Sort by mean, so that the rows of a part need tables of similar length.
    for part in np.array_split(small, max(1, len(small) // 500)):
        reached = np.floor(PATHS * _cumulative(mixture.select(part)) + 0.5)
        reached[:, -1] = PATHS
        repeats = (reached - np.pad(reached[:, :-1], ((0, 0), (1, 0)))).astype(np.int64)
        units = np.broadcast_to(np.arange(repeats.shape[1]), repeats.shape)
        result[part] = np.repeat(units.ravel(), repeats.ravel()).reshape(-1, PATHS)
    return result


def _cumulative(mixture: CountMixture) -> Floats:
    """Return P(D ≤ 0), P(D ≤ 1) … until every row has passed its last mid-quantile."""
    columns = []
    for total in mixture.cumulative():
        columns.append(total)
        if total.min(initial=1.0) >= 1.0 - 0.4 / PATHS:
            break
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
    """Return two sets of unit normals (PATHS, horizon), antithetic in pairs."""
    from scipy.special import ndtri

    # Raw bits and an inverse, because numpy guarantees only the bit stream (NEP 19).
    raw = np.random.Philox(SEED).random_raw(PATHS // 2 * 2 * horizon)
    half = ndtri(((raw >> np.uint64(11)) + 0.5) * 2.0**-53).reshape(2, PATHS // 2, horizon)
    carried, fresh = np.concatenate([half, -half], axis=1)
    return carried, fresh
