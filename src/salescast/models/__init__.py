"""Estimators that return a predictive distribution of demand, and the table of their kinds."""

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from salescast.models.forecaster import Forecaster

KINDS: Mapping[str, str] = {
    "integrated": "salescast.models.integrated.Integrated",
    "boosting": "salescast.models.boosting.Boosting",
    "estimator": "salescast.models.estimator.OwnEstimator",
    "seasonal_naive": "salescast.models.point_models.SeasonalNaive",
    "weekday_mean": "salescast.models.point_models.WeekdayMean",
}
"""Name → class; each stands for one that a stored model may be of."""

TYPES = (
    *KINDS.values(),
    "salescast.models.calibration.Calibration",
    "salescast.models.response.Response",
)
"""Our types that a stored model is made of: frozen dataclasses and estimators of plain state."""

BASELINES = ("seasonal_naive", "weekday_mean")


def kind_class(kind: str) -> "type[Forecaster]":
    """Return the class of a kind of model."""
    module, _, name = KINDS[kind].rpartition(".")
    loaded: type[Forecaster] = getattr(import_module(module), name)
    return loaded


def make(kind: str, params: Mapping[str, Any], seed: int = 0) -> "Forecaster":
    """Return an unfitted model of a kind, with those of `params` that it has."""
    loaded = kind_class(kind)
    values = {"random_state": seed, **params}
    parameters = inspect.signature(loaded).parameters
    return loaded(**{name: values[name] for name in parameters if name in values})
