"""The manifest of a release: the SHA-256 of each file, and one digest over all of them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salescast.data.files import as_json, read_bytes
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
        wrong = ", ".join(sorted(files.keys() ^ NAMES))
        raise DataQualityError(f"a release has missing or unknown files: {wrong}; train again")
    entries = {name: _entry(content) for name, content in sorted(files.items())}
    manifest = json.dumps({"files": entries, "format": FORMAT}, indent=1).encode() + b"\n"
    return manifest, hashlib.sha256(manifest).hexdigest()


def _entry(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def unseal(folder: Path, digest: str) -> dict[str, bytes]:
    """Return the files of a bundle, checked byte for byte; each is read once.

    Raises DataQualityError, naming the file, where anything differs from what was sealed.
    """
    wrong = _names(folder) ^ NAMES ^ {MANIFEST}
    if wrong:
        raise DataQualityError(f"{folder}: missing or unknown: {', '.join(sorted(wrong))[:200]}")
    manifest = read_bytes(folder / MANIFEST, 2**16)
    if hashlib.sha256(manifest).hexdigest() != digest:
        raise DataQualityError(f"{folder / MANIFEST}: its SHA-256 is not {digest[:12]}…")
    entries = _entries(folder / MANIFEST, manifest)
    files = {name: read_bytes(folder / name) for name in sorted(NAMES)}
    for name, content in files.items():
        if _entry(content) != entries[name]:
            raise DataQualityError(
                f"{folder / name}: damaged or swapped; publish the release again"
            )
    return files


def _names(folder: Path) -> set[str]:
    if folder.is_symlink() or not folder.is_dir():
        raise DataQualityError(f"{folder}: missing, or not a folder")
    return {path.name for path in folder.iterdir()}


def _entries(path: Path, manifest: bytes) -> dict[str, Any]:
    try:
        plain = as_json(manifest)
        entries = dict(plain["files"])
        if plain != {"files": entries, "format": FORMAT} or entries.keys() != NAMES:
            raise ValueError("it lists other files than a release has")
    except (ValueError, TypeError, KeyError) as error:
        raise DataQualityError(f"{path}: not a manifest: {error}") from error
    return entries
