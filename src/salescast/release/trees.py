"""Whether gradient-boosted trees stay within themselves.

scikit-learn's prediction follows node indices without looking: one beyond the end reads foreign
memory, one that leads back never ends.
"""

from typing import Any

import numpy as np


def check_trees(estimator: Any) -> None:
    """Raise ValueError where an estimator is no boosting of ours or its trees lead astray."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    if type(estimator) is not HistGradientBoostingRegressor:
        raise ValueError(f"a {type(estimator).__name__} has no place in a model")
    features = int(estimator.n_features_in_)
    bins = estimator._bin_mapper  # noqa: SLF001 - what predict uses
    categorical = np.asarray(bins.is_categorical_, dtype=bool)
    _check(categorical.shape == (features,), "its features are not those of its bins")
    _check(len(bins.bin_thresholds_) == features, "its bins are not those of its features")
    for feature in np.flatnonzero(categorical):
        values = np.asarray(bins.bin_thresholds_[feature], dtype=float)
        _check(bool(((values >= 0) & (values < 256)).all()), "a category is beyond its bitset")
    for predictor in (tree for stage in estimator._predictors for tree in stage):  # noqa: SLF001
        _check_nodes(predictor, categorical)
    _check(estimator.n_trees_per_iteration_ == 1, "it has several trees an iteration")
    _check(bool(np.isfinite(estimator._baseline_prediction).all()), "its base is not finite")  # noqa: SLF001
    prepared = estimator._preprocess_X(np.zeros((1, features)), reset=False)  # noqa: SLF001
    _check(prepared.shape == (1, features), "its encoder changes the number of features")


def _check_nodes(predictor: Any, categorical: Any) -> None:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

    nodes, bitsets = predictor.nodes, predictor.raw_left_cat_bitsets
    _check(nodes.dtype == PREDICTOR_RECORD_DTYPE and nodes.ndim == 1, "its nodes are no nodes")
    _check(len(nodes) > 0 and bitsets.ndim == 2 and bitsets.dtype == np.uint32, "no nodes")
    _check(bitsets.shape[1] == 8 or not len(bitsets), "its bitsets have another length")
    inner = nodes["is_leaf"] == 0
    at = np.flatnonzero(inner)
    for side in ("left", "right"):  # children come after their parent: no loop, and an end
        child = nodes[side][inner].astype(np.int64)
        _check(bool(((child > at) & (child < len(nodes))).all()), "a node leads out of its tree")
    feature = nodes["feature_idx"][inner].astype(np.int64)
    known = (feature >= 0) & (feature < len(categorical))
    _check(bool(known.all()), "a node asks for a feature that is not there")
    by_category = nodes["is_categorical"][inner] != 0
    _check(bool(categorical[feature[by_category]].all()), "a node takes a number for a category")
    bitset = nodes["bitset_idx"][inner][by_category].astype(np.int64)
    _check(bool((bitset < len(bitsets)).all()), "a node asks for a category that is not there")
    _check(bool(np.isfinite(nodes["value"]).all()), "a leaf is not finite")


def _check(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - a result
    if not holds:
        raise ValueError(otherwise)
