"""An estimator of one's own: any class with scikit-learn's `fit` and `predict`, by import path.

It learns how far a day departs from the recent level of its series, as boosting does: the rate
units ÷ level, weighed by the level. Columns are centred and scaled and a gap is the usual value, so
that a linear model or a network can take them as they are.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.errors import ConfigError, DataQualityError, NotEnoughHistoryError
from salescast.features.point_in_time import CALENDAR, HISTORY, PRICE, WEATHER

Floats = NDArray[np.float64]

PATH = "import_path"  # among the parameters: where the class is; the rest are its own
NUMBERS = (*HISTORY, *CALENDAR, *PRICE, *WEATHER)


@dataclass(frozen=True)
class Estimated:
    """A fitted estimator, its columns, and their usual value and spread (features,)."""

    estimator: Any
    numbers: tuple[str, ...]
    centre: Floats
    spread: Floats


def fit(rows: pd.DataFrame, params: Mapping[str, Any], seed: int) -> Estimated:
    """Fit the class that `params` names to feature rows with `units`.

    Raises ConfigError where there is no such class or it takes other parameters,
    NotEnoughHistoryError where nothing was sold at all.
    """
    if not rows["units"].any():
        raise NotEnoughHistoryError(f"not a unit was sold on {len(rows)} days; ingest more days")
    numbers = tuple(name for name in NUMBERS if rows[name].notna().any())
    values = rows[list(numbers)].to_numpy(dtype=np.float64)
    centre, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    model = Estimated(made(params, seed), numbers, centre, np.where(spread > 1e-9, spread, np.inf))
    level = rows["level"].to_numpy(float)
    weights = {"sample_weight": level} if _takes(model.estimator.fit, "sample_weight") else {}
    model.estimator.fit(_matrix(model, rows), rows["units"].to_numpy() / level, **weights)
    return model


def made(params: Mapping[str, Any], seed: int) -> Any:
    """Return the estimator, not yet fitted; `seed` goes to a class that has a `random_state`."""
    path = str(params[PATH])
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"model.estimator: cannot import {path!r} ({error}); install its package here, or "
            "correct the path"
        ) from error
    own = {key: value for key, value in params.items() if key != PATH}
    seeded = {"random_state": seed} if _takes(kind, "random_state") else {}
    try:
        return kind(**(seeded | own))
    except TypeError as error:
        raise ConfigError(f"model.estimator_params: {path} refuses them: {error}") from error


def _takes(function: Any, name: str) -> bool:
    return name in inspect.signature(function).parameters


def mean(model: Estimated, rows: pd.DataFrame) -> Floats:
    """Return the expected demand of each row, units, shape (n,), at least 0.

    Raises DataQualityError where the estimator answers with something else than a number a row.
    """
    rate = np.asarray(model.estimator.predict(_matrix(model, rows)), dtype=np.float64)
    if rate.shape != (len(rows),) or not np.isfinite(rate).all():
        raise DataQualityError(
            f"{type(model.estimator).__name__} answers {rate.shape} for {len(rows)} rows, "
            f"{(~np.isfinite(rate)).sum()} of them not finite; one number a row is needed"
        )
    demand: Floats = np.maximum(rate, 0.0) * rows["level"].to_numpy(float)
    return demand


def _matrix(model: Estimated, rows: pd.DataFrame) -> Floats:
    """Return shape (n, features): standard deviations from the usual, 0 where unknown."""
    values = rows[list(model.numbers)].to_numpy(dtype=np.float64)
    scaled: Floats = np.nan_to_num((values - model.centre) / model.spread, nan=0.0)
    return scaled
