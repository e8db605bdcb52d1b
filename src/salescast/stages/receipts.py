"""A receipt, read and rebuilt: the same release on the same data says the same, bit for bit."""

import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
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
from salescast.settings import Settings


def read_receipt(settings: Settings, receipt_id: str) -> dict[str, Any]:
    """Return the forecast that a receipt stands for, as it was served."""
    with Ledger(settings.ledger_url) as ledger:
        rows = ledger.receipt(receipt_id)
    if rows.empty:
        raise UnknownReceiptError(f"no forecast has the receipt {receipt_id}")
    return {"forecast": rows.to_dict("records"), "summary": rows.to_string(index=False)}


def replay(settings: Settings, receipt_id: str) -> dict[str, Any]:
    """Rebuild the forecast of a receipt and say from what; every number must come out the same.

    The release is the one that was promoted under the receipt's model version. The data are the
    receipt's version: those on disk, or fetched through DVC; where both fail, the rows on disk that
    were known at the close of the origin. Raises ReceiptNotRebuilt naming what is missing or
    differs.
    """
    served = pd.DataFrame(read_receipt(settings, receipt_id)["forecast"])
    first = served.iloc[0]
    bundle = _release(settings, str(first["model_version"]))
    tried = []
    for source, tables in _sources(settings, str(first["data_version"]), first["origin"]):
        why = _difference(served, bundle, tables)
        if not why:
            release = f"version {bundle.version} (release {bundle.digest[:12]}…)"
            return {
                "receipt_id": receipt_id,
                "release": bundle.digest,
                "data": source,
                "forecast": served.to_dict("records"),
                "summary": f"receipt {receipt_id}: rebuilt bit for bit by {release} on {source}",
            }
        tried.append(f"on {source}: {why}")
    raise ReceiptNotRebuilt(
        f"receipt {receipt_id} is not rebuilt by version {bundle.version}; "
        + "; ".join([*tried, *_environment(bundle)])
    )


def _release(settings: Settings, number: str) -> Bundle:
    """Return the release promoted under a model version; raise ReceiptNotRebuilt without one."""
    with Ledger(settings.ledger_url) as ledger:
        promotions = ledger.promotions()
    digests = promotions.loc[promotions["model_version"] == number, "digest"].unique()
    tried = []
    for digest in digests[::-1]:
        for folder in (settings.releases, settings.build / "serving"):
            try:
                return Releases(folder, settings.model.trusted_types).read(
                    Release(0, number, str(digest))
                )
            except SalescastError as error:
                tried.append(f"{folder}: {error}")
    raise ReceiptNotRebuilt(
        f"the release of model version {number} is missing: "
        + ("; ".join(tried) or "the ledger knows of no promotion of it")
    )


def _sources(settings: Settings, wanted: str, origin: datetime) -> Iterator[tuple[str, Tables]]:
    """Yield what the receipt's data may be read from, the best first, each with its name."""
    here = versions.data_version(settings.data)
    if here == wanted:
        yield f"data version {wanted} as it lies here", store.read_all(settings.data)
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            versions.fetch_version(settings.root, wanted, Path(folder, "data"))
            yield f"data version {wanted} fetched through DVC", store.read_all(Path(folder, "data"))
        except (StoreUnavailableError, DataQualityError) as error:
            why = str(error)
        else:
            why = "its data version does not give the same"
    rebuilt = schema.as_of(store.read_all(settings.data), origin)
    name = f"the rows of data version {here} known at the close of {origin:%Y-%m-%d} ({why})"
    yield name, rebuilt


def _difference(served: pd.DataFrame, bundle: Bundle, tables: Tables) -> str:
    """Say how the forecast differs when it is made again; "" where every bit is the same."""
    first = served.iloc[0]
    origin = last_day(tables)
    if origin != first["origin"]:
        return f"the last day known is {origin:%Y-%m-%d}, not {first['origin']:%Y-%m-%d}"
    made = issue_all(bundle, tables, str(first["data_version"]))
    same = (made["store_id"] == first["store_id"]) & (made["item_id"] == first["item_id"])
    again = made[same].reset_index(drop=True)
    if again.empty:
        return "the series is not there"
    names = [name for name in served if name in again and served[name].dtype == "float64"]
    if (again["receipt_id"] == first["receipt_id"]).all():
        changed = [
            n for n in names if again[n].to_numpy().tobytes() != served[n].to_numpy().tobytes()
        ]
        return f"{', '.join(changed)} of the ledger was changed since" if changed else ""
    worst = max(names, key=lambda name: (again[name] - served[name]).abs().max())
    return f"{worst} differs by up to {(again[worst] - served[worst]).abs().max():.3g}"


def _environment(bundle: Bundle) -> list[str]:
    """Return a sentence on packages that are not those the release was made with."""
    made: Mapping[str, str] = bundle.environment.get("installed", {})
    other = []
    for name in ("numpy", "pandas", "scikit-learn", "scipy"):
        try:
            here = version(name)
        except PackageNotFoundError:
            here = "missing"
        if made.get(name) not in (None, here):
            other.append(f"{name} {here} instead of {made[name]}")
    return [f"it was made with other packages ({', '.join(other)})"] if other else []
