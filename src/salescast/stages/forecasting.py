"""Forecast: every series from the last origin with the champion, into the ledger."""

from functools import partial
from typing import Any

import pandas as pd

from salescast.contract.schema import last_day
from salescast.data import store, versions
from salescast.data.files import write_frame
from salescast.errors import StoreUnavailableError
from salescast.release import Bundle, Release, issue_all, served_and_shadow
from salescast.settings import Settings
from salescast.stages.configured import champion_release, open_releases, record
from salescast.stages.partitions import Mapper, Partition, in_order, pool


def forecast(settings: Settings, mapper: Mapper = in_order) -> dict[str, Any]:
    """Forecast every series from the last origin with the champion, into the ledger.

    `mapper` works through the partitions, where the settings cut the chain into some.
    """
    versions.require_files(settings.root)
    champion, trusted = champion_release(settings), settings.model.trusted_types
    data_version = versions.data_version(settings.data)
    issued = partial(_issued, settings, data_version, mapper)
    served, shadow = served_and_shadow(
        settings.releases, champion, issued(champion), issued, trusted
    )
    recorded = record(settings, forecasts=served, shadow=shadow)
    write_frame(settings.build / "forecasts.parquet", served)
    result = {
        "origin": f"{served['origin'].iloc[0]:%Y-%m-%d}",
        "series": served["receipt_id"].nunique(),
        "degraded_rows": int(served["degraded"].map(bool).sum()),
        "model_version": champion.version,
        "data_version": data_version,
    }
    summary = (
        f"{result['series']} series × {champion.contract['horizon']} days from "
        f"{result['origin']} by version {champion.version}"
    )
    if result["degraded_rows"]:
        summary += f", {result['degraded_rows']:,} rows degraded"
    return result | {"summary": summary + ("" if recorded else ", kept until the ledger answers")}


def _issued(settings: Settings, data_version: str, mapper: Mapper, bundle: Bundle) -> pd.DataFrame:
    """Return the forecasts of every series by a release; raises as `forecast`."""
    if settings.scale.partitions == 1:
        return issue_all(bundle, store.read_all(settings.data), data_version)
    origin = last_day(store.read_days(settings.data))
    parts, chain = pool(settings, [origin], bundle.contract["horizon"], mapper)
    release = Release(0, bundle.version, bundle.digest)
    issued = mapper(partial(_partition, settings, release, data_version, chain), parts)
    if versions.data_version(settings.data) != data_version:
        raise StoreUnavailableError("the data changed while they were read; forecast again")
    return pd.concat(issued, ignore_index=True)


def _partition(
    settings: Settings,
    release: Release,
    data_version: str,
    chain: pd.DataFrame,
    part: Partition,
) -> pd.DataFrame:
    """Return the forecasts of a partition's stores."""
    bundle = open_releases(settings).read(release)
    tables = store.read_part(settings.data, part.store_ids)
    return issue_all(bundle, tables, data_version, (part.origins[0], chain))
