"""How stages hand over: small files under `build/`, replaced whole or not at all."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from salescast.errors import StoreUnavailableError


def write_json(path: Path, value: Any) -> Path:
    """Write plain values; NaN becomes null."""
    text = json.dumps(_plain(value), indent=2, sort_keys=True, allow_nan=False)
    return replace(path, lambda part: part.write_text(text + "\n", encoding="utf-8"))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return value if value - value == 0.0 else None  # inf and NaN fail this
    return value


def read_json(path: Path, stage: str) -> Any:
    """Return what `stage` wrote."""
    return json.loads(present(path, stage).read_text(encoding="utf-8"))


def write_frame(path: Path, frame: pd.DataFrame) -> Path:
    """Write a frame as Parquet."""
    return replace(path, lambda part: frame.to_parquet(part, index=False))


def read_frame(path: Path, stage: str) -> pd.DataFrame:
    """Return the frame that `stage` wrote."""
    return pd.read_parquet(present(path, stage))


def present(path: Path, stage: str) -> Path:
    """Return `path`; raise StoreUnavailableError when `stage` has not written it yet."""
    if not path.exists():
        raise StoreUnavailableError(f"{path.name} is missing; run `salescast stage {stage}` first")
    return path


def replace(path: Path, write: Callable[[Path], Any]) -> Path:
    """Let `write` fill a file beside `path`, then put it in place in one step.

    Raises StoreUnavailableError when the disk is full or not writable; the old file stays.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreUnavailableError(f"cannot write {path.name}: {error.strerror}") from error
    return path
