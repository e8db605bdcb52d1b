"""A folder that cannot change unnoticed: the SHA-256 of each file, and one digest over the list."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salescast.data.strict import MAX_FILE_BYTES, as_json, read_bytes
from salescast.errors import DataQualityError

MANIFEST = "manifest.json"
FORMAT = 1
NAMES = frozenset(
    {
        "about.json",
        "climatology.json",
        "contract.json",
        "costs.json",
        "decision.json",
        "environment.json",
        "examples.json",
        "fallback.skops",
        "model.skops",
        "quality.json",
        "scorecard.json",
    }
)
"""The files of a bundle: these, all of them, and nothing else."""


def seal(files: Mapping[str, bytes]) -> tuple[bytes, str]:
    """Return the manifest of a bundle's files, and its digest."""
    if files.keys() != NAMES:
        strange = ", ".join(sorted(files.keys() ^ NAMES))
        raise DataQualityError(f"a bundle has missing or unknown files: {strange}; train again")
    listed = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(files.items())
    }
    manifest = json.dumps({"files": listed, "format": FORMAT}, indent=1).encode() + b"\n"
    return manifest, hashlib.sha256(manifest).hexdigest()


def unseal(folder: Path, digest: str) -> dict[str, bytes]:
    """Return the files of a bundle, checked byte for byte; each is read once.

    Raises DataQualityError, naming the file, where anything is not what `digest` stands for.
    """
    found = _listed(folder)
    strange = found ^ NAMES ^ {MANIFEST}
    if strange:
        raise DataQualityError(f"{folder}: missing or unknown: {', '.join(sorted(strange))[:200]}")
    manifest = read_bytes(folder / MANIFEST, 2**16)
    if hashlib.sha256(manifest).hexdigest() != digest:
        raise DataQualityError(f"{folder / MANIFEST}: its SHA-256 is not {digest[:12]}…")
    listed = _entries(folder, manifest)
    return {name: _checked(folder / name, listed[name]) for name in sorted(NAMES)}


def _listed(folder: Path) -> set[str]:
    if folder.is_symlink() or not folder.is_dir():
        raise DataQualityError(f"{folder}: missing, or not a folder")
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries}


def _entries(folder: Path, manifest: bytes) -> dict[str, Any]:
    try:
        plain = as_json(manifest)
        listed = dict(plain["files"])
        ours = plain.keys() == {"files", "format"} and plain["format"] == FORMAT
        if not ours or listed.keys() != NAMES:
            raise ValueError("it lists other files than a bundle has")
    except (ValueError, TypeError, KeyError) as error:
        raise DataQualityError(f"{folder / MANIFEST}: no manifest of ours: {error}") from error
    return listed


def _checked(path: Path, expected: Any) -> bytes:
    content = read_bytes(path, MAX_FILE_BYTES)
    found = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    if found != expected:
        raise DataQualityError(f"{path}: damaged or swapped; publish the release again")
    return content
