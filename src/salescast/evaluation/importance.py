"""Permutation importance of groups of features."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.evaluation import metrics
from salescast.features.point_in_time import GROUPS
from salescast.models.forecaster import Forecaster

Floats = NDArray[np.float64]


def importance(
    model: Forecaster, rows: pd.DataFrame, actual: Floats, quantiles: Sequence[float], seed: int
) -> dict[str, float]:
    """Return the relative increase of the quantile loss when a group of features is shuffled.

    Breiman (2001), by group of which the model reads a column, among rows of the same lead. 0.3:
    the loss is 30 % higher without it.
    """
    rng = np.random.default_rng(seed)
    before = _loss(model, rows, actual, quantiles)
    return {
        group: _loss(model, _shuffled(rows, columns, rng), actual, quantiles) / before - 1.0
        for group, columns in GROUPS.items()
        if set(columns) & set(model.feature_names_in_)
    }


def _shuffled(rows: pd.DataFrame, columns: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    lead = rows["lead_time"].to_numpy()
    order = np.arange(len(rows))
    for value in np.unique(lead):
        at = np.flatnonzero(lead == value)
        order[at] = rng.permutation(at)
    shuffled = [name for name in columns if name != "lead_time"]
    return rows.assign(**{name: rows[name].array[order] for name in shuffled})


def _loss(
    model: Forecaster, rows: pd.DataFrame, actual: Floats, quantiles: Sequence[float]
) -> float:
    values = model.predict_distribution(rows).quantiles(np.array(quantiles))
    return metrics.wql(actual, values, quantiles)
