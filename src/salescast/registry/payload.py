"""Models as files that run no code when they are read.

A payload is a plain dictionary of estimators, arrays, text and numbers, in skops's format. MLflow
would believe the list of types inside the file; we believe only our own.
"""

import hashlib
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from salescast.errors import DataQualityError

TRUSTED = (
    "functools.partial",  # gradient boosting wraps check_array in it, for categorical features
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",  # the trees
    "sklearn.utils.validation.check_array",
)
"""Reviewed types beyond those skops trusts by itself. One more is a decision, not a fix."""


def write_model(path: Path, payload: Mapping[str, Any]) -> None:
    """Write a payload that `read_model` will read.

    Raises DataQualityError, and leaves no file, where it holds a type nobody reviewed.
    """
    import skops.io

    skops.io.dump(dict(payload), path, compression=zipfile.ZIP_DEFLATED)
    unknown = sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED))
    if unknown:
        path.unlink()
        raise DataQualityError(
            f"a model must not hold {', '.join(unknown)}: review the type, then add it to "
            "salescast.registry.payload.TRUSTED"
        )
    _settle(path)


# skops names parts by memory address and zip stamps them with the time; numbered in order and
# stamped alike, the same model is the same bytes, and DVC sees that nothing changed.
_ADDRESS = re.compile(r'(?<="__id__": )\d+|(?<="file": ")\d+(?=\.)')
_STAMP = (1980, 1, 1, 0, 0, 0)  # the oldest that zip knows


def _settle(path: Path) -> None:
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    numbers: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return numbers.setdefault(match[0], str(len(numbers) + 1))

    schema = _ADDRESS.sub(number, parts.pop("schema.json").decode())
    settled = {"schema.json": schema.encode()}
    for name, content in parts.items():
        address, dot, kind = name.partition(".")
        settled[numbers[address] + dot + kind] = content
    with zipfile.ZipFile(path, "w") as file:
        for name in sorted(settled):
            entry = zipfile.ZipInfo(name, _STAMP)
            file.writestr(entry, settled[name], zipfile.ZIP_DEFLATED)


def read_model(path: Path, digest: str | None = None) -> dict[str, Any]:
    """Return the payload of a file; `digest` is the SHA-256 it must have.

    Raises DataQualityError where the file is damaged, was swapped or holds a type not in TRUSTED.
    """
    import skops.io

    found = digest_of(path)
    if digest is not None and found != digest:
        raise DataQualityError(
            f"{path.name}: SHA-256 is {found[:12]}…, registered was {digest[:12]}…; the file was "
            "damaged or swapped: roll back or train again"
        )
    try:
        payload = skops.io.load(path, trusted=list(TRUSTED))
    except Exception as error:  # a damaged file raises anything
        raise DataQualityError(f"{path.name} is no model of ours: {error}") from error
    if not isinstance(payload, dict):
        raise DataQualityError(f"{path.name} holds a {type(payload).__name__}, not a dictionary")
    return payload


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Served:
    def __init__(self, payload: Mapping[str, Any]) -> None:
        from salescast.model import from_payload

        self.model, self.contract = from_payload(payload["model"]), payload["contract"]

    def predict(self, rows: pd.DataFrame, _: Any = None) -> pd.DataFrame:
        from salescast.model import predict

        moments = rows.select_dtypes("datetime").columns
        rows = rows.astype(dict.fromkeys(moments, "datetime64[us]"))  # MLflow makes them [ns]
        return predict(self.model, rows, self.contract["quantiles"], self.contract["critical"])


def _load_pyfunc(path: str) -> _Served:
    """Let `mlflow models serve` and `predict` use a registered model; MLflow asks for this name."""
    return _Served(read_model(Path(path)))
