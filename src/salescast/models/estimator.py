"""Any class with scikit-learn's `fit` and `predict`, by its import path."""

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Self

import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from salescast.errors import ConfigError
from salescast.models.forecaster import Floats
from salescast.models.point_models import RateForecaster


class OwnEstimator(RateForecaster):
    """The class at `estimator`, made with `estimator_params`, as a model of the rate.

    Columns are centred and scaled and a gap is the mean, so that a linear model or a network can
    use them as they are.
    """

    preparation_: Pipeline
    estimator_: Any

    def __init__(
        self,
        estimator: str,
        estimator_params: Mapping[str, Any] | None = None,
        random_state: int = 0,
    ) -> None:
        """Keep the parameters."""
        self.estimator = estimator
        self.estimator_params = estimator_params
        self.random_state = random_state

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; `deep`: those of the class, too."""
        params: dict[str, Any] = super().get_params(deep)
        return params | (dict(self.estimator_params or {}) if deep else {})

    def set_params(self, **params: Any) -> Self:
        """Set parameters; a name that is none of this class's is one of the owner's class."""
        names = super().get_params(deep=False)
        of_class = {name: value for name, value in params.items() if name not in names}
        super().set_params(**{name: value for name, value in params.items() if name in names})
        if of_class:
            self.estimator_params = {**(self.estimator_params or {}), **of_class}
        return self

    def _fit_rate(
        self, rows: pd.DataFrame, numbers: tuple[str, ...], rate: Floats, weight: Floats
    ) -> None:
        self.feature_names_in_ = numbers
        self.preparation_ = make_pipeline(
            StandardScaler(), SimpleImputer(strategy="constant", fill_value=0.0)
        )
        self.estimator_ = self.make_estimator()
        weighted = _takes(self.estimator_.fit, "sample_weight")
        prepared = self.preparation_.fit_transform(rows[list(numbers)].to_numpy(float))
        self.estimator_.fit(prepared, rate, **({"sample_weight": weight} if weighted else {}))

    def _rate(self, rows: pd.DataFrame) -> Any:
        columns = rows[list(self.feature_names_in_)].to_numpy(float)
        return self.estimator_.predict(self.preparation_.transform(columns))

    def make_estimator(self) -> Any:
        """Return the class, unfitted; `random_state` goes to one that has it.

        Raises ConfigError where there is no such class or it takes other parameters.
        """
        module, _, name = self.estimator.rpartition(".")
        try:
            loaded = getattr(import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigError(
                f"model.estimator: cannot import {self.estimator!r} ({error}); install its package "
                "here, or correct the path"
            ) from error
        seed = {"random_state": self.random_state} if _takes(loaded, "random_state") else {}
        try:
            return loaded(**(seed | dict(self.estimator_params or {})))
        except TypeError as error:
            raise ConfigError(
                f"model.estimator_params: {self.estimator} refuses them: {error}"
            ) from error


def _takes(function: Any, name: str) -> bool:
    return name in inspect.signature(function).parameters
