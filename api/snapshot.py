"""The forecasts of one champion on one version of the data, ready to be served.

Forecasts are computed once and stored as JSON; a request is a lookup. Every float is written in
the shortest form that reads back bit for bit.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from api.model_inputs import Key, ModelInputs
from salescast.contract import schema
from salescast.contract.schema import Tables
from salescast.features.whatif import WhatIf, imagine
from salescast.models.forecaster import CAUSES, quantile_column
from salescast.release.issuing import SERIES, issue

RECENT_DAYS = 28
_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class SeriesJson:
    """One series' forecast as JSON, and the degradations of each of its days."""

    json: bytes
    degraded: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Snapshot:
    """What one champion serves on one version of the data. Never changed, only replaced.

    `provenance` is part of every answer. `model` describes the champion, `series` each series by
    store and item. `labels`: quantile level → name. `degraded`: what the whole service lacks.
    """

    provenance: Mapping[str, Any]
    model: Mapping[str, Any]
    series: Sequence[Mapping[str, Any]]
    labels: Mapping[float, str]
    horizon: int
    forecasts: Mapping[Key, SeriesJson]
    inputs: ModelInputs
    degraded: tuple[str, ...] = ()

    @property
    def origin_seconds(self) -> float:
        """The begin of the origin in seconds since 1970, UTC."""
        origin = datetime.fromisoformat(self.provenance["origin"])
        return origin.replace(tzinfo=UTC).timestamp()

    @property
    def dates(self) -> list[str]:
        """The days forecast, YYYY-MM-DD."""
        origin = datetime.fromisoformat(self.provenance["origin"]).date()
        return [f"{origin + timedelta(days=lead)}" for lead in range(1, self.horizon + 1)]

    def degrade(self, reason: str) -> "Snapshot":
        """Return the same forecasts, marked as degraded for this reason."""
        marked = sorted({*self.provenance["degraded"], reason})
        return replace(
            self,
            degraded=tuple(sorted({*self.degraded, reason})),
            provenance={**self.provenance, "degraded": marked},
        )


def make_snapshot(
    issued: pd.DataFrame, tables: Tables, inputs: ModelInputs, about: Mapping[str, Any]
) -> Snapshot:
    """Return the snapshot of the forecasts that `release.forecasts.issue` made at one origin.

    `about`: the rest of the champion's description.
    """
    contract = inputs.contract
    labels = {level: quantile_column(level) for level in contract["quantiles"]}
    series = _describe_series(issued, tables, inputs.past)
    model = {name: contract[name] for name in ("horizon", "quantiles", "weather")}
    return Snapshot(
        _provenance(issued),
        {**about, **model, "series": len(series)},
        series,
        labels,
        contract["horizon"],
        _series_json(issued, list(labels.values())),
        inputs,
    )


def _provenance(issued: pd.DataFrame) -> dict[str, Any]:
    first = issued.iloc[0]
    return {
        "model_version": str(first["model_version"]),
        "data_version": str(first["data_version"]),
        "origin": date_text(first["origin"]),
        "weather_issued_at": date_text(issued["issued_at"].max()),
        "degraded": sorted({reason for reasons in issued["degraded"] for reason in reasons}),
    }


def _describe_series(
    issued: pd.DataFrame, tables: Tables, past: pd.DataFrame
) -> list[dict[str, Any]]:
    keys = [*SERIES]
    items = schema.latest("items", tables["items"]).set_index("item_id")
    stores = schema.latest("stores", tables["stores"]).set_index("store_id")
    since = issued["origin"].iloc[0] - pd.Timedelta(days=RECENT_DAYS - 1)
    sold = past[past["date"] >= since].groupby(keys)["units"].mean()
    series = issued.groupby(keys)["mean"].mean().rename("forecast_per_day").reset_index()
    return [
        {
            **row,
            "store_name": readable_name(row["store_id"]),
            "item_name": str(items["name"][row["item_id"]]),
            "location_id": str(stores["location_id"][row["store_id"]]),
            "pack_size": int(items["pack_size"][row["item_id"]]),
            "sold_per_day": float(sold.get((row["store_id"], row["item_id"]), 0.0)),
        }
        for row in series.to_dict("records")
    ]


def _series_json(issued: pd.DataFrame, labels: Sequence[str]) -> dict[Key, SeriesJson]:
    names = (*SERIES, "receipt_id", "model_version")
    heads = zip(*(issued[name].tolist() for name in names), strict=True)
    by_series: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for head, day in zip(heads, day_values(issued, labels), strict=True):
        by_series.setdefault(head, []).append(day)
    return {
        (head[0], head[1]): SeriesJson(
            encode({**dict(zip(names, head, strict=True)), "days": days}),
            tuple(tuple(day["degraded"]) for day in days),
        )
        for head, days in by_series.items()
    }


def day_values(issued: pd.DataFrame, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return each row of `release.forecasts.issue` in plain values, as the API answers it."""
    because = issued[[f"because_{cause}" for cause in CAUSES]].to_numpy().tolist()
    quantiles = issued[[*labels]].to_numpy().tolist()
    columns: dict[str, Iterable[Any]] = {
        "date": map(date_text, issued["date"]),
        "lead_time": issued["lead_time"].astype("int64").tolist(),
        "mean": issued["mean"].tolist(),
        "quantiles": (dict(zip(labels, row, strict=True)) for row in quantiles),
        "stock_target": issued["stock_target"].tolist(),
        "because": (dict(zip(CAUSES, row, strict=True)) for row in because),
        "issued_at": map(date_text, issued["issued_at"]),
        "degraded": issued["degraded"].tolist(),
    }
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, values, strict=True)) for values in rows]


def readable_name(identifier: str) -> str:
    """Return an id as a name, "London 1" for "london-1": the contract has no names of stores."""
    return identifier.replace("-", " ").replace("_", " ").title()


def date_text(day: Any) -> str | None:
    """Return a day as YYYY-MM-DD, None for a missing one."""
    return None if pd.isna(day) else f"{day:%Y-%m-%d}"


def encode(value: Any) -> bytes:
    """Return plain values as JSON; each float reads back bit for bit."""
    return _ENCODER.encode(value).encode()


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
