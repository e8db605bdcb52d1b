"""Gradient boosting on an exposure: the flexible alternative to the integrated model.

Trees learn how far a day departs from the recent level of its series, as a Poisson rate with the
level as exposure, so busy and quiet series share what they teach.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.errors import NotEnoughHistoryError
from salescast.features.point_in_time import CALENDAR, HISTORY, PRICE, STATIC, WEATHER

Floats = NDArray[np.float64]

NUMBERS = (*HISTORY, *CALENDAR, *PRICE, *WEATHER)


@dataclass(frozen=True)
class Boosted:
    """Fitted trees, the stores and items they know, and the columns they were given."""

    trees: Any
    store_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    numbers: tuple[str, ...]


def fit(rows: pd.DataFrame, params: Mapping[str, Any], seed: int) -> Boosted:
    """Fit trees to feature rows with `units`.

    Raises NotEnoughHistoryError where nothing was sold at all: no rate can be learned from that.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    if not rows["units"].any():
        raise NotEnoughHistoryError(
            f"not a unit was sold on {len(rows)} days; ingest days with sales, or use "
            'model.kind = "integrated"'
        )
    # A column without a single value cannot be binned.
    numbers = tuple(name for name in NUMBERS if rows[name].notna().any())
    trees = HistGradientBoostingRegressor(
        loss="poisson",
        max_iter=params["iterations"],
        learning_rate=params["learning_rate"],
        max_leaf_nodes=params["max_leaf_nodes"],
        min_samples_leaf=params["min_samples_leaf"],
        l2_regularization=params["l2_regularization"],
        categorical_features=[len(numbers), len(numbers) + 1],
        early_stopping=False,  # "auto" would split at random, across time
        random_state=seed,
    )
    stores, items = (tuple(sorted(rows[name].unique())) for name in STATIC)
    boosted = Boosted(trees, stores, items, numbers)
    level = rows["level"].to_numpy()
    trees.fit(_matrix(boosted, rows), rows["units"].to_numpy() / level, sample_weight=level)
    return boosted


def mean(boosted: Boosted, rows: pd.DataFrame) -> Floats:
    """Return the expected demand of each row, units, shape (n,)."""
    rate: Floats = boosted.trees.predict(_matrix(boosted, rows))
    mean: Floats = rate * rows["level"].to_numpy()
    return mean


def _matrix(boosted: Boosted, rows: pd.DataFrame) -> Floats:
    """Return shape (n, features); a store or item the trees have not met is NaN."""
    codes = [
        pd.Index(known[:254]).get_indexer(rows[name]).astype(float)  # boosting's limit is 255
        for name, known in zip(STATIC, (boosted.store_ids, boosted.item_ids), strict=True)
    ]
    numbers = rows[list(boosted.numbers)].to_numpy(dtype=np.float64)
    return np.column_stack([numbers, *(np.where(code < 0, np.nan, code) for code in codes)])
