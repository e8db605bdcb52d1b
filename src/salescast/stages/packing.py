"""Put releases together: most parts are written at registration, the rest at promotion."""

import hashlib
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from salescast import release
from salescast.contract import schema
from salescast.contract.schema import Tables
from salescast.data import store
from salescast.data.files import plain, present, replace
from salescast.errors import DataQualityError, NoChampionError
from salescast.features.climatology import climatology
from salescast.models.forecaster import forecast
from salescast.ordering.orders import item_costs
from salescast.registry import Version
from salescast.release import Release
from salescast.release.bundle import COLUMNS, MATTERS, installed
from salescast.settings import Settings
from salescast.stages.configured import open_registry, open_releases

DRAFT = "release"
LOCK = "requirements.lock"
SERVING = (*MATTERS, "fastapi", "holidays", "pyarrow", "pydantic", "sqlalchemy", "uvicorn")


def write_draft(settings: Settings, payload: dict[str, Any], rows: pd.DataFrame) -> Path:
    """Write what a release holds beyond the model and its records, and return the folder.

    `rows`: feature rows whose predictions become the release's examples.
    """
    tables = store.read_all(settings.data)
    contract = payload["contract"]
    answers = forecast(payload["model"], rows, contract["quantiles"], contract["critical"])
    observed = schema.latest("weather_observed", tables["weather_observed"])
    parts = {
        "climatology": climatology(observed.dropna(subset=["precip_mm", "temp_c"])),
        "contract": contract | {"features": sorted(COLUMNS)},
        "costs": _costs(settings, tables),
        "environment": _environment(settings.root),
        "examples": release.example_of(rows, answers),
    }
    files = {f"{name}.json": release.encode(plain(part)) for name, part in parts.items()}
    fallback = present(settings.build / "fallback.skops", "train")
    folder = settings.build / DRAFT
    for name, content in {**files, fallback.name: fallback.read_bytes()}.items():
        replace(folder / name, partial(Path.write_bytes, data=content))
    return folder


def _costs(settings: Settings, tables: Tables) -> dict[str, Any]:
    return settings.costs.model_dump() | {
        "currency": settings.product.currency,
        "items": item_costs(tables).set_index("item_id").to_dict("index"),
    }


def _environment(root: Path) -> dict[str, Any]:
    locks = (root / LOCK, Path(__file__).parents[3] / LOCK)
    lock = next((path for path in locks if path.exists()), None)
    return {
        "installed": {name: installed(name) for name in SERVING if installed(name)},
        "lock_sha256": hashlib.sha256(lock.read_bytes()).hexdigest() if lock else None,
        "python": sys.version.split()[0],
    }


def publish(settings: Settings, decision: dict[str, Any]) -> str:
    """Put the judged version's release into the release folder and its run; return its digest.

    Raises DataQualityError where it was registered without the parts of a release.
    """
    registry, version = open_registry(settings), _registered(settings, decision["version"])
    releases = open_releases(settings)
    digest = releases.publish(str(version.number), _files(settings, version, decision))
    published = Release(0, str(version.number), digest)
    releases.read(published)  # what services could not load is not promoted
    registry.log_artifact(version, settings.releases / published.folder)
    registry.tag(version, "release_sha256", digest)
    return digest


def _registered(settings: Settings, number: int) -> Version:
    version = open_registry(settings).version(number)
    if version is None:
        raise NoChampionError(f"no version {number} is registered; run `salescast train` first")
    return version


def _files(settings: Settings, version: Version, decision: dict[str, Any]) -> dict[str, bytes]:
    registry = open_registry(settings)
    draft = registry.artifact(version, DRAFT)
    if not draft.is_dir():
        raise DataQualityError(
            f"version {version.number} was registered without a release; train again"
        )
    records = [registry.artifact(version, name) for name in ("scorecard.json", "quality.json")]
    return {
        **{path.name: path.read_bytes() for path in (*draft.iterdir(), *records)},
        "model.skops": registry.model_file(version),
        "decision.json": release.encode(plain(decision)),
        "about.json": release.encode(_about(settings, version)),
    }


def _about(settings: Settings, version: Version) -> dict[str, Any]:
    tags = version.tags
    return {
        "name": settings.product.model,
        "version": str(version.number),
        "run_id": version.run_id,
        "trained_until": tags.get("trained_until"),
        "trained_on": tags.get("data_version"),
        "git_commit": tags.get("git_commit"),
        "quality_verdict": tags.get("quality_verdict"),
    }
