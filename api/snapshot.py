"""Everything the API answers from, made once: a forecast of known inputs is a lookup.

Numbers are written as JSON here, each float in the shortest form that reads back bit for bit.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from api.detail import Detail, Key
from salescast.contract import schema
from salescast.contract.schema import Tables
from salescast.models.explanation import CAUSES
from salescast.models.forecaster import quantile_column
from salescast.release.issuing import SERIES

_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Forecast:
    """One series' forecast as JSON, and what each of its days had to do without."""

    json: bytes
    degraded: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Snapshot:
    """The answers of one champion on one data version; never changed, only replaced.

    `levels`: quantile → label. `provenance` is part of every answer; `model` is the rest of what
    is said about the champion; `series` is what is said about each series, by store and item;
    `detail` is what stands beside the forecasts; `without` is what the whole service has to do
    without.
    """

    provenance: Mapping[str, Any]
    model: Mapping[str, Any]
    series: Sequence[Mapping[str, str]]
    levels: Mapping[float, str]
    horizon: int
    forecasts: Mapping[Key, Forecast]
    detail: Detail | None = None
    without: tuple[str, ...] = ()

    @property
    def origin_seconds(self) -> float:
        """Seconds since 1970 at which the origin begins, UTC."""
        origin = datetime.fromisoformat(self.provenance["origin"])
        return origin.replace(tzinfo=UTC).timestamp()

    @property
    def dates(self) -> list[str]:
        """The days forecast, YYYY-MM-DD."""
        first = datetime.fromisoformat(self.provenance["origin"]).date()
        return [f"{first + timedelta(days=lead)}" for lead in range(1, self.horizon + 1)]


def take(
    made: pd.DataFrame, tables: Tables, contract: Mapping[str, Any], about: Mapping[str, Any]
) -> Snapshot:
    """Return the snapshot of what `forecasts.issue` made at one origin from `tables`.

    `contract`: the model's; `about`: what else is said about the champion.
    """
    levels = {level: quantile_column(level) for level in contract["quantiles"]}
    series = _describe(made, tables)
    model = {name: contract[name] for name in ("horizon", "quantiles", "weather")}
    return Snapshot(
        _provenance(made),
        {**about, **model, "series": len(series)},
        series,
        levels,
        contract["horizon"],
        _encode(made, list(levels.values())),
    )


def degrade(snapshot: Snapshot, by: str) -> Snapshot:
    """Return the same answers, saying that the service has to do without something."""
    without = tuple(sorted({*snapshot.without, by}))
    missed = sorted({*snapshot.provenance["degraded"], by})
    return replace(
        snapshot, without=without, provenance={**snapshot.provenance, "degraded": missed}
    )


def _encode(made: pd.DataFrame, labels: Sequence[str]) -> dict[Key, Forecast]:
    days = days_of(made, labels)
    keys = zip(
        *(made[name].tolist() for name in (*SERIES, "receipt_id", "model_version")), strict=True
    )
    by_series: dict[Key, list[dict[str, Any]]] = {}
    made_by: dict[Key, tuple[str, str]] = {}
    for (store_id, item_id, *by), day in zip(keys, days, strict=True):
        by_series.setdefault((store_id, item_id), []).append(day)
        made_by[store_id, item_id] = by[0], by[1]
    return {key: _forecast(key, made_by[key], of_one) for key, of_one in by_series.items()}


def days_of(made: pd.DataFrame, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return each row of `forecasts.issue` in plain values, as it is answered."""
    names = [
        "date",
        "lead_time",
        "mean",
        "quantiles",
        "stock_target",
        "because",
        "issued_at",
        "degraded",
    ]
    because = made[[f"because_{cause}" for cause in CAUSES]].to_numpy().tolist()
    quantiles = (dict(zip(labels, row, strict=True)) for row in made[[*labels]].to_numpy().tolist())
    columns: tuple[Iterable[Any], ...] = (
        _text(made["date"]),
        made["lead_time"].astype("int64").tolist(),
        made["mean"].tolist(),
        quantiles,
        made["stock_target"].tolist(),
        (dict(zip(CAUSES, row, strict=True)) for row in because),
        _text(made["issued_at"]),
        made["degraded"].tolist(),
    )
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _text(days: pd.Series) -> list[str | None]:
    return [None if pd.isna(day) else f"{day:%Y-%m-%d}" for day in days]


def _forecast(key: Key, by: tuple[str, str], days: list[dict[str, Any]]) -> Forecast:
    about = {"receipt_id": by[0], "model_version": by[1]}
    plain = dict(zip(SERIES, key, strict=True)) | about | {"days": days}
    return Forecast(encode(plain), tuple(tuple(day["degraded"]) for day in days))


def encode(value: Any) -> bytes:
    """Return plain values as JSON, each float in the shortest form that reads back."""
    return _ENCODER.encode(value).encode()


def _provenance(made: pd.DataFrame) -> dict[str, Any]:
    first, issue = made.iloc[0], made["issued_at"].max()
    return {
        "model_version": str(first["model_version"]),
        "data_version": str(first["data_version"]),
        "origin": f"{first['origin']:%Y-%m-%d}",
        "weather_issued_at": None if pd.isna(issue) else f"{issue:%Y-%m-%d}",
        "degraded": sorted({name for row in made["degraded"] for name in row}),
    }


def _describe(made: pd.DataFrame, tables: Tables) -> list[dict[str, str]]:
    series = made[[*SERIES]].drop_duplicates().sort_values([*SERIES])
    names = schema.latest("items", tables["items"]).set_index("item_id")["name"]
    places = schema.latest("stores", tables["stores"]).set_index("store_id")["location_id"]
    series["item_name"] = series["item_id"].map(names)
    series["location_id"] = series["store_id"].map(places)
    return [{str(k): str(v) for k, v in row.items()} for row in series.to_dict("records")]


def answer(
    snapshot: Snapshot, keys: Sequence[Key], horizon: int, quantiles: Sequence[float]
) -> bytes:
    """Return forecasts of known series as JSON, `horizon` days and `quantiles` of each."""
    found = [snapshot.forecasts[key] for key in keys]
    missed = {name for one in found for day in one.degraded[:horizon] for name in day}
    head = encode({**snapshot.provenance, "degraded": sorted(missed.union(snapshot.without))})[:-1]
    if is_whole(snapshot, horizon, quantiles):
        parts = [one.json for one in found]
    else:
        labels = [snapshot.levels[level] for level in quantiles]
        parts = [_trimmed(one.json, horizon, labels) for one in found]
    return head + b',"forecasts":[' + b",".join(parts) + b"]}"


def is_whole(snapshot: Snapshot, horizon: int, quantiles: Sequence[float]) -> bool:
    """Tell whether nothing is left out, so that no JSON needs to be taken apart."""
    return horizon == snapshot.horizon and len(set(quantiles)) == len(snapshot.levels)


def _trimmed(whole: bytes, horizon: int, labels: Sequence[str]) -> bytes:
    plain = json.loads(whole)
    plain["days"] = plain["days"][:horizon]
    for day in plain["days"]:
        day["quantiles"] = {name: day["quantiles"][name] for name in labels}
    return encode(plain)
