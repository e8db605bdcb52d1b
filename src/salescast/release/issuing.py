"""Forecasts of a release: the same for batch and API, each series with a receipt."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from salescast.contract.schema import Tables, last_day
from salescast.features import point_in_time
from salescast.features.climatology import fill_with_climatology, lacks_weather
from salescast.features.point_in_time import KEYS, without_weather
from salescast.models.forecaster import CAUSES, Forecaster, forecast
from salescast.release.bundle import Bundle

SERIES = ("store_id", "item_id")
FALLBACK = "blind_model"
RECEIPT_DIGITS = 24  # those of 20, before version 0.2, covered the causes, too
END = "\x1e"  # between rows: no id holds it

Whole = tuple[pd.Timestamp, pd.DataFrame]
"""Of a chain of which only some stores are here: its last origin, and `knowledge.chain_sales`."""


def issue_all(
    bundle: Bundle, tables: Tables, data_version: str, whole: Whole | None = None
) -> pd.DataFrame:
    """Return the forecasts of every series from the last origin, in the columns of `issue`.

    Where a place has no history of weather, the release's climatology is used. Where that does
    not help either, or the model's numbers are not finite, the fallback model forecasts the whole
    series, and its days are degraded by `blind_model`. `whole`: where `tables` are a part.
    """
    return issue_rows(bundle, feature_rows(bundle, tables, whole), tables, data_version)


def feature_rows(bundle: Bundle, tables: Tables, whole: Whole | None = None) -> pd.DataFrame:
    """Return the features of the days after the last origin, for the release's model."""
    contract = bundle.contract
    origin, chain = whole or (last_day(tables), None)
    rows = point_in_time.build(tables, [origin], contract["horizon"], contract["weather"], chain)
    return fill_with_climatology(rows, _observed_places(tables), bundle.climatology)


def issue_rows(
    bundle: Bundle, rows: pd.DataFrame, tables: Tables, data_version: str
) -> pd.DataFrame:
    """Return the forecasts of `feature_rows`; see `issue_all`."""
    contract, versions = bundle.contract, (bundle.version, data_version)
    levels = contract["quantiles"], contract["critical"]
    forecasts = issue(bundle.model, rows, *levels, versions)
    finite = np.isfinite(forecasts[_numbers(forecasts)]).all(axis=1)
    unknown = lacks_weather(rows, _observed_places(tables), bundle.climatology)
    lost = (~finite).to_numpy() | unknown.to_numpy()
    if not lost.any():
        return forecasts
    keys = [rows[name] for name in SERIES]
    series = pd.Series(lost, rows.index).groupby(keys).transform("any").to_numpy()
    fallback = issue(bundle.fallback, without_weather(rows[series]), *levels, versions)
    fallback["degraded"] = [[*reasons, FALLBACK] for reasons in fallback["degraded"]]
    return pd.concat([forecasts[~series], fallback.set_index(forecasts.index[series])]).sort_index()


def _observed_places(tables: Tables) -> set[str]:
    return set(tables["weather_observed"]["location_id"].unique())


def issue(
    model: Forecaster,
    rows: pd.DataFrame,
    quantiles: Sequence[float],
    critical: Mapping[str, float],
    versions: tuple[str, str],
) -> pd.DataFrame:
    """Return the forecasts of feature rows, ready for the ledger and the API.

    `versions` = (model version, data version). Columns: those of `forecaster.predict`,
    model_version, data_version, degraded (a list of what was missing, per row), because_* (units
    that each cause adds to the mean, see `contributions`) and receipt_id (one a series).
    """
    forecasts = forecast(model, rows, quantiles, critical)
    forecasts["model_version"], forecasts["data_version"] = versions
    forecasts["degraded"] = _degraded(forecasts)
    promised = receipts(forecasts)  # what the ledger keeps; causes are no promise
    because = model.explain(rows)
    for cause in CAUSES:
        forecasts[f"because_{cause}"] = because[cause].to_numpy()
    forecasts["receipt_id"] = promised
    return forecasts


def _degraded(forecasts: pd.DataFrame) -> list[list[str]]:
    climatology = forecasts["issued_at"].isna()
    old = forecasts["issued_at"] < forecasts["origin"]
    return [
        ["weather_climatology"] * none + ["weather_issue_old"] * late
        for none, late in zip(climatology, old, strict=True)
    ]


def receipts(forecasts: pd.DataFrame) -> list[str]:
    """Return the receipt of each row's series: a digest of versions, keys and every number.

    The same rows, read back from the ledger, give the same receipts.
    """
    values = np.ascontiguousarray(forecasts[_numbers(forecasts)].to_numpy(np.float64))
    lines = forecasts[list(KEYS)].to_csv(index=False, lineterminator=END).split(END)[:-1]
    header, keys = lines[0], np.array(lines[1:], dtype=object)
    versions = (forecasts["model_version"] + "|" + forecasts["data_version"]).to_numpy(object)
    ids = np.empty(len(forecasts), dtype=object)
    issued = [*SERIES, "origin", "model_version", "data_version"]
    for at in forecasts.groupby(issued, sort=False).indices.values():
        digest = hashlib.sha256(versions[at[0]].encode())
        digest.update("\n".join([header, *keys[at], ""]).encode())
        digest.update(values[at].tobytes())
        ids[at] = digest.hexdigest()[:RECEIPT_DIGITS]
    return list(ids)


def altered_receipts(recorded: pd.DataFrame) -> list[str]:
    """Return the receipts whose rows in the ledger differ from what was issued.

    `recorded`: forecasts as the ledger returns them, by series and date. Older receipts cannot be
    verified by their rows alone (`salescast replay` rebuilds them) and are left out.
    """
    rows = recorded[recorded["receipt_id"].str.len() == RECEIPT_DIGITS]
    levels = rows[[name for name in _numbers(rows) if name.startswith("p")]].notna()
    altered: set[str] = set()
    for _, same in rows.groupby([levels[name] for name in levels] or [rows["lead_time"] < 0]):
        numbers = same.dropna(axis="columns", how="all")
        altered.update(numbers.loc[numbers["receipt_id"] != receipts(numbers), "receipt_id"])
    return sorted(altered)


def _numbers(forecasts: pd.DataFrame) -> list[str]:
    return [name for name in forecasts if forecasts[name].dtype == np.float64]
