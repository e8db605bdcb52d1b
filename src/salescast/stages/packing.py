"""What goes into a release: most of it written at registration, put together at promotion."""

import hashlib
import shutil
import sys
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from salescast import release
from salescast.contract import schema
from salescast.contract.schema import Tables
from salescast.data import store
from salescast.data.files import plain, present, replace
from salescast.errors import DataQualityError
from salescast.models.fallback import climatology
from salescast.models.forecaster import from_payload, predict
from salescast.ordering.orders import unit_costs
from salescast.registry import Registry, Version
from salescast.release.bundle import COLUMNS, MATTERS
from salescast.settings import Settings

DRAFT = "release"
LOCK = "requirements.lock"
SERVING = (*MATTERS, "fastapi", "holidays", "pyarrow", "pydantic", "sqlalchemy", "uvicorn")
FROM_RUN = ("scorecard.json", "quality.json")


def write_draft(settings: Settings, payload: dict[str, Any], rows: pd.DataFrame) -> Path:
    """Write what a release holds beyond the model and its records, and return the folder.

    `rows`: feature rows whose predictions become the release's examples.
    """
    tables = store.read_all(settings.data)
    contract = payload["contract"]
    answers = predict(
        from_payload(payload["model"]), rows, contract["quantiles"], contract["critical"]
    )
    observed = schema.latest("weather_observed", tables["weather_observed"])
    parts = {
        "climatology": climatology(observed.dropna(subset=["precip_mm", "temp_c"])),
        "contract": contract | {"features": sorted(COLUMNS)},
        "costs": _costs(settings, tables),
        "environment": _environment(settings.root),
        "examples": release.example_of(rows, answers),
    }
    folder = settings.build / DRAFT
    for name, part in parts.items():
        replace(
            folder / f"{name}.json", partial(Path.write_bytes, data=release.encode(plain(part)))
        )
    twin = present(settings.build / "fallback.skops", "train")
    replace(folder / twin.name, lambda path: shutil.copyfile(twin, path))
    return folder


def _costs(settings: Settings, tables: Tables) -> dict[str, Any]:
    items = unit_costs(schema.latest("items", tables["items"])).set_index("item_id")
    return settings.costs.model_dump() | {
        "currency": settings.product.currency,
        "items": items.to_dict("index"),
    }


def _environment(root: Path) -> dict[str, Any]:
    locks = (root / LOCK, Path(__file__).parents[3] / LOCK)
    lock = next((path for path in locks if path.exists()), None)
    return {
        "installed": {name: found for name in SERVING if (found := _installed(name))},
        "lock_sha256": hashlib.sha256(lock.read_bytes()).hexdigest() if lock else None,
        "python": sys.version.split()[0],
    }


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def assemble(
    settings: Settings, registry: Registry, made: Version, decision: dict[str, Any]
) -> dict[str, bytes]:
    """Return the files of the release of a registered version.

    Raises DataQualityError where the version was registered without them: train again.
    """
    draft = registry.artifact(made, DRAFT)
    if not draft.is_dir():
        raise DataQualityError(f"version {made.number} was registered without a release; train")
    files = {path.name: path.read_bytes() for path in sorted(draft.iterdir())}
    files |= {name: registry.artifact(made, name).read_bytes() for name in FROM_RUN}
    files["model.skops"] = registry.model_file(made)
    files["decision.json"] = release.encode(plain(decision))
    files["about.json"] = release.encode(_about(settings, made))
    return files


def _about(settings: Settings, made: Version) -> dict[str, Any]:
    tags = made.tags
    return {
        "name": settings.product.model,
        "version": str(made.number),
        "run_id": made.run_id,
        "trained_until": tags.get("trained_until"),
        "trained_on": tags.get("data_version"),
        "git_commit": tags.get("git_commit"),
        "quality_verdict": tags.get("quality_verdict"),
    }
