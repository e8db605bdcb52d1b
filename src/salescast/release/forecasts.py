"""A forecast as it leaves the house: numbers, what it rests on, and a receipt."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from salescast.features.point_in_time import KEYS
from salescast.models.explanation import CAUSES, contributions
from salescast.models.forecaster import Model, predict

SERIES = ("store_id", "item_id")
END = "\x1e"  # between rows: no id holds it


def issue(
    model: Model,
    rows: pd.DataFrame,
    quantiles: Sequence[float],
    critical: Mapping[str, float],
    versions: tuple[str, str],
) -> pd.DataFrame:
    """Return the forecasts of feature rows, ready for the ledger and the API.

    `versions` = (model version, data version). Columns: those of `model.predict`, model_version,
    data_version, degraded (a list of what was missing, per row), because_* (units each cause adds
    to the mean, see `explain`) and receipt_id (one a series).
    """
    predicted = predict(model, rows, quantiles, critical)
    predicted["model_version"], predicted["data_version"] = versions
    predicted["degraded"] = _degraded(predicted)
    because = contributions(model, rows)
    for cause in CAUSES:
        predicted[f"because_{cause}"] = because[cause].to_numpy()
    predicted["receipt_id"] = _receipts(predicted)
    return predicted


def _degraded(predicted: pd.DataFrame) -> list[list[str]]:
    climatology = predicted["issued_at"].isna()
    old = predicted["issued_at"] < predicted["origin"]
    return [
        ["weather_climatology"] * none + ["weather_issue_old"] * late
        for none, late in zip(climatology, old, strict=True)
    ]


def _receipts(predicted: pd.DataFrame) -> list[str]:
    """Return the id of each row's series: a digest of versions, keys and every number."""
    numbers = [c for c in predicted if predicted[c].dtype == np.float64]
    values = np.ascontiguousarray(predicted[numbers].to_numpy(np.float64))
    told = predicted[list(KEYS)].to_csv(index=False, lineterminator=END).split(END)[:-1]
    header, keys = told[0], np.array(told[1:], dtype=object)
    versions = (predicted["model_version"] + "|" + predicted["data_version"]).to_numpy(object)
    ids = np.empty(len(predicted), dtype=object)
    for at in predicted.groupby([*SERIES, "origin"], sort=False).indices.values():
        digest = hashlib.sha256(versions[at[0]].encode())
        digest.update("\n".join([header, *keys[at], ""]).encode())
        digest.update(values[at].tobytes())
        ids[at] = digest.hexdigest()[:20]
    return list(ids)
