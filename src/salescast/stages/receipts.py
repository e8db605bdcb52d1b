"""Read a receipt, and rebuild its forecast bit for bit from release and data."""

import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from salescast.contract import schema
from salescast.contract.schema import Tables, last_day
from salescast.data import store, versions
from salescast.errors import (
    DataQualityError,
    ReceiptNotRebuilt,
    SalescastError,
    StoreUnavailableError,
    UnknownReceiptError,
)
from salescast.ledger.ledger import Ledger
from salescast.release import Bundle, Release, Releases, issue_all
from salescast.release.bundle import other_packages
from salescast.release.issuing import altered_receipts
from salescast.settings import Settings


def read_receipt(settings: Settings, receipt_id: str) -> dict[str, Any]:
    """Return the forecast of a receipt as it was served.

    Raises UnknownReceiptError where there is none, DataQualityError where the ledger's rows are no
    longer those that were served.
    """
    with Ledger(settings.ledger_url) as ledger:
        rows = ledger.receipt(receipt_id)
    if rows.empty:
        raise UnknownReceiptError(f"no forecast has the receipt {receipt_id}")
    if altered_receipts(rows):
        raise DataQualityError(
            f"the forecast of receipt {receipt_id} was changed in the ledger since it was served; "
            "`salescast doctor --deep` lists all such; restore a backup"
        )
    return {"forecast": rows.to_dict("records"), "summary": rows.to_string(index=False)}


def replay(settings: Settings, receipt_id: str) -> dict[str, Any]:
    """Rebuild the forecast of a receipt; every number must be the same.

    The release is the one that was promoted under the receipt's model version. The data are the
    receipt's version: those on disk, or fetched through DVC; where both fail, the rows on disk that
    were known at the close of the origin. Raises ReceiptNotRebuilt naming what is missing or
    differs.
    """
    served = pd.DataFrame(read_receipt(settings, receipt_id)["forecast"])
    first = served.iloc[0]
    bundle = _release(settings, str(first["model_version"]))
    differences = []
    for source, tables in _sources(settings, str(first["data_version"]), first["origin"]):
        difference = _difference(served, bundle, tables)
        if not difference:
            release = f"version {bundle.version} (release {bundle.digest[:12]}…)"
            return {
                "receipt_id": receipt_id,
                "release": bundle.digest,
                "data": source,
                "forecast": served.to_dict("records"),
                "summary": f"receipt {receipt_id}: rebuilt bit for bit by {release} on {source}",
            }
        differences.append(f"on {source}: {difference}")
    if others := other_packages(bundle):
        differences.append(f"the release was made with other packages ({', '.join(others)})")
    raise ReceiptNotRebuilt(
        f"receipt {receipt_id} is not rebuilt by version {bundle.version}; "
        + "; ".join(differences)
    )


def _release(settings: Settings, number: str) -> Bundle:
    """Return the release promoted under a model version; raise ReceiptNotRebuilt without one."""
    with Ledger(settings.ledger_url) as ledger:
        promotions = ledger.promotions()
    digests = promotions.loc[promotions["model_version"] == number, "digest"].unique()
    errors = []
    for digest in digests[::-1]:
        for folder in (settings.releases, settings.build / "serving"):
            try:
                return Releases(folder, settings.model.trusted_types).read(
                    Release(0, number, str(digest))
                )
            except SalescastError as error:
                errors.append(f"{folder}: {error}")
    raise ReceiptNotRebuilt(
        f"the release of model version {number} is missing: "
        + ("; ".join(errors) or "the ledger has no promotion of it")
    )


def _sources(settings: Settings, version: str, origin: datetime) -> Iterator[tuple[str, Tables]]:
    """Yield (name, tables) that the forecast may be rebuilt from, the best first."""
    on_disk = versions.data_version(settings.data)
    if on_disk == version:
        yield f"data version {version} on disk", store.read_all(settings.data)
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            versions.fetch_version(settings.root, version, Path(folder, "data"))
            yield f"data version {version} fetched by DVC", store.read_all(Path(folder, "data"))
        except (StoreUnavailableError, DataQualityError) as error:
            reason = str(error)
        else:
            reason = "its data version does not give the same"
    known = schema.as_of(store.read_all(settings.data), origin)
    yield f"the rows of data version {on_disk} known at {origin:%Y-%m-%d} ({reason})", known


def _difference(served: pd.DataFrame, bundle: Bundle, tables: Tables) -> str:
    """Return how the rebuilt forecast differs; "" where every bit is the same."""
    first = served.iloc[0]
    origin = last_day(tables)
    if origin != first["origin"]:
        return f"the last day of the data is {origin:%Y-%m-%d}, not {first['origin']:%Y-%m-%d}"
    chain = issue_all(bundle, tables, str(first["data_version"]))
    same = (chain["store_id"] == first["store_id"]) & (chain["item_id"] == first["item_id"])
    rebuilt = chain[same].reset_index(drop=True)
    if rebuilt.empty:
        return "the series is missing"
    names = [name for name in served if name in rebuilt and served[name].dtype == "float64"]
    if rebuilt[names].to_numpy().tobytes() == served[names].to_numpy().tobytes():
        return ""
    largest = (rebuilt[names] - served[names]).abs().max()
    return f"{largest.idxmax()} differs by up to {largest.max():.3g}"
