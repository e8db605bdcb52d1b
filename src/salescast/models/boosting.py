"""Gradient boosting on an exposure: the flexible alternative to the integrated model."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from salescast.features.point_in_time import STATIC
from salescast.models.forecaster import Floats
from salescast.models.point_models import RateForecaster

MAX_IDS = 255  # boosting's limit of categories; the rarest share the last


class Boosting(RateForecaster):
    """Trees of the rate with a Poisson loss; parameters as scikit-learn's."""

    search_space: ClassVar[Mapping[str, tuple[float, float]]] = {
        "iterations": (60, 300),
        "learning_rate": (0.02, 0.2),
        "max_leaf_nodes": (8, 64),
        "min_samples_leaf": (20, 400),
        "l2_regularization": (0.1, 20.0),
    }
    pipeline_: Pipeline

    def __init__(
        self,
        iterations: int = 150,
        learning_rate: float = 0.08,
        max_leaf_nodes: int = 31,
        min_samples_leaf: int = 100,
        l2_regularization: float = 1.0,
        random_state: int = 0,
    ) -> None:
        """Keep the parameters."""
        self.iterations = iterations
        self.learning_rate = learning_rate
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.l2_regularization = l2_regularization
        self.random_state = random_state

    def _fit_rate(
        self, rows: pd.DataFrame, numbers: tuple[str, ...], rate: Floats, weight: Floats
    ) -> None:
        self.feature_names_in_ = (*numbers, *STATIC)
        self.pipeline_ = self._pipeline(numbers)
        columns = rows[list(self.feature_names_in_)]
        self.pipeline_.fit(columns, rate, trees__sample_weight=weight)

    def _rate(self, rows: pd.DataFrame) -> Any:
        return self.pipeline_.predict(rows[list(self.feature_names_in_)])

    def _pipeline(self, numbers: tuple[str, ...]) -> Pipeline:
        unknown = {"handle_unknown": "use_encoded_value", "unknown_value": float("nan")}
        ids = OrdinalEncoder(max_categories=MAX_IDS, **unknown)
        columns = ColumnTransformer(
            [("numbers", "passthrough", list(numbers)), ("ids", ids, list(STATIC))]
        )
        trees = HistGradientBoostingRegressor(
            loss="poisson",
            max_iter=self.iterations,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            l2_regularization=self.l2_regularization,
            categorical_features=[len(numbers), len(numbers) + 1],
            early_stopping=False,  # "auto" would split at random, across time
            random_state=self.random_state,
        )
        return Pipeline([("columns", columns), ("trees", trees)])
