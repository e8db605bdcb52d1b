"""From a snapshot to the JSON of an answer: forecasts, what-ifs and the past of a series."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from api.model_inputs import Key, ModelInputs
from api.snapshot import Snapshot, day_values, encode
from salescast.features.whatif import WhatIf, imagine
from salescast.models.forecaster import quantile_column
from salescast.release.issuing import SERIES, issue

CHUNK = 100  # series encoded at a time, some 500 KB


def forecast_chunks(
    snapshot: Snapshot, keys: Sequence[Key], horizon: int, quantiles: Sequence[float]
) -> Iterator[bytes]:
    """Yield the forecasts of known series as one JSON document, in parts."""
    forecasts = [snapshot.forecasts[key] for key in keys]
    reasons = {
        reason for one in forecasts for day in one.degraded[:horizon] for reason in day
    }.union(snapshot.degraded)
    head = encode({**snapshot.provenance, "degraded": sorted(reasons)})[:-1]
    whole = horizon == snapshot.horizon and len(set(quantiles)) == len(snapshot.labels)
    labels = [snapshot.labels[level] for level in quantiles]
    separator = head + b',"forecasts":['
    for start in range(0, len(forecasts), CHUNK):
        part = (one.json for one in forecasts[start : start + CHUNK])
        yield separator + b",".join(
            part if whole else (_trimmed(one, horizon, labels) for one in part)
        )
        separator = b","
    yield b"]}"


def _trimmed(forecast: bytes, horizon: int, labels: Sequence[str]) -> bytes:
    plain = json.loads(forecast)
    plain["days"] = plain["days"][:horizon]
    for day in plain["days"]:
        day["quantiles"] = {name: day["quantiles"][name] for name in labels}
    return encode(plain)


def what_if_body(
    snapshot: Snapshot, keys: Sequence[Key], what: WhatIf, horizon: int, quantiles: Sequence[float]
) -> bytes:
    """Return the forecasts of known series under other weather or prices; record nothing."""
    inputs, days = snapshot.inputs, snapshot.horizon
    first = np.array([inputs.first_row[key] for key in keys])
    rows = inputs.rows.iloc[(first[:, None] + np.arange(days)).ravel()]
    changed = imagine(rows, inputs.past_rain[first // days], what).reset_index(drop=True)
    versions = snapshot.provenance["model_version"], snapshot.provenance["data_version"]
    issued = issue(inputs.model, changed, quantiles, inputs.contract["critical"], versions)
    issued["issued_at"] = rows["issued_at"].to_numpy()
    issued["degraded"] = [list(day) for key in keys for day in snapshot.forecasts[key].degraded]
    values = day_values(issued, [quantile_column(level) for level in quantiles])
    forecasts: list[dict[str, Any]] = [
        dict(zip(SERIES, key, strict=True))
        | {"receipt_id": None, "model_version": versions[0], "days": values[at : at + horizon]}
        for at, key in zip(range(0, len(values), days), keys, strict=True)
    ]
    reasons = {reason for one in forecasts for day in one["days"] for reason in day["degraded"]}
    head = {**snapshot.provenance, "degraded": sorted(reasons), "what_if": True}
    return encode(head | {"forecasts": forecasts})


def history_body(snapshot: Snapshot, key: Key, days: int) -> bytes:
    """Return the last `days` days of a known series and the inputs to its forecast."""
    past = snapshot.inputs.past.iloc[snapshot.inputs.past_rows.get(key, [])]
    since = pd.Timestamp(snapshot.provenance["origin"]) - pd.Timedelta(days=days - 1)
    names = ["units", "price", "promo", "sold_out", "precip_mm", "temp_c"]
    body = {**snapshot.provenance, **dict(zip(SERIES, key, strict=True))}
    body["days"] = _records(past[past["date"] >= since], names)
    return encode(body | {"ahead": _ahead(snapshot.inputs, key)})


def _ahead(inputs: ModelInputs, key: Key) -> list[dict[str, Any]]:
    rows = inputs.rows.iloc[inputs.first_row[key] :].head(int(inputs.contract["horizon"]))
    usual = {"normal_probability": "usual_probability", "normal_mm": "usual_mm"}
    names = ["price", "promo", "rain_probability", "rain_mm", *usual.values()]
    return _records(rows.rename(columns=usual).astype({"promo": bool}), names)


def _records(rows: pd.DataFrame, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return `date` and these columns of each row; a missing value is null."""
    values = rows[[*names]].astype(object).where(rows[[*names]].notna(), None).to_dict("records")
    dates = rows["date"].dt.strftime("%Y-%m-%d")
    return [{"date": date} | row for date, row in zip(dates, values, strict=True)]
