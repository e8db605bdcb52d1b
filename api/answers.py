"""Answers that are made when asked for: the past of a series, and forecasts of what may be."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from api.detail import Detail, Key
from api.snapshot import Snapshot, days_of, encode
from salescast.features.whatif import WhatIf, imagine
from salescast.models.forecaster import quantile_column
from salescast.release.issuing import SERIES, issue


def history(snapshot: Snapshot, key: Key, days: int) -> bytes:
    """Return the last `days` days of a known series as JSON, oldest first; closed days have none.

    Each: date, units, sold_out (null where nobody said), price, promo, precip_mm and temp_c (null
    where no weather was observed). `ahead` are the days forecast, with what the forecast goes by.
    """
    of = snapshot.detail
    assert of is not None
    rows = of.past.iloc[of.place.get(key, [])]
    since = np.datetime64(snapshot.provenance["origin"]) - np.timedelta64(days - 1, "D")
    rows = rows[rows["date"] >= since]
    names = ["units", "price", "promo", "sold_out", "precip_mm", "temp_c"]
    about = {**snapshot.provenance, **dict(zip(SERIES, key, strict=True))}
    return encode(about | {"days": _plain(rows, names), "ahead": _ahead(of, key)})


def _ahead(of: Detail, key: Key) -> list[dict[str, Any]]:
    rows = of.rows.iloc[of.first[key] :].head(int(of.contract["horizon"]))
    usual = {"normal_probability": "usual_probability", "normal_mm": "usual_mm"}
    names = ["price", "promo", "rain_probability", "rain_mm", *usual.values()]
    return _plain(rows.rename(columns=usual).astype({"promo": bool}), names)


def _plain(rows: pd.DataFrame, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return `date` and these columns of each row, null where there is no value."""
    values = rows[[*names]].astype(object).where(rows[[*names]].notna(), None).to_dict("records")
    when = rows["date"].dt.strftime("%Y-%m-%d")
    return [{"date": date} | row for date, row in zip(when, values, strict=True)]


def what_if(
    snapshot: Snapshot, keys: Sequence[Key], what: WhatIf, horizon: int, quantiles: Sequence[float]
) -> bytes:
    """Return the forecasts of known series as they would be, as JSON; nothing is recorded."""
    of = snapshot.detail
    assert of is not None
    leads = np.arange(snapshot.horizon)
    first = np.array([of.first[key] for key in keys])
    rows = of.rows.iloc[(first[:, None] + leads).ravel()]
    changed = imagine(rows, of.rain[first // snapshot.horizon], what)
    versions = snapshot.provenance["model_version"], snapshot.provenance["data_version"]
    made = issue(
        of.model, changed.reset_index(drop=True), quantiles, of.contract["critical"], versions
    )
    made["issued_at"] = rows["issued_at"].to_numpy()
    made["degraded"] = [
        list(day) for key in keys for day in snapshot.forecasts[key].degraded[: len(leads)]
    ]
    each = days_of(made, [quantile_column(level) for level in quantiles])
    whole = [each[at : at + len(leads)] for at in range(0, len(each), len(leads))]
    found = [
        dict(zip(SERIES, key, strict=True))
        | {"receipt_id": None, "model_version": versions[0], "days": days[:horizon]}
        for key, days in zip(keys, whole, strict=True)
    ]
    missed = {name for days in whole for day in days[:horizon] for name in day["degraded"]}
    head = {**snapshot.provenance, "degraded": sorted(missed), "what_if": True}
    return encode(head | {"forecasts": found})
