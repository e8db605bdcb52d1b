"""What a release holds, checked and ready to forecast."""

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from salescast.data.strict import as_json
from salescast.errors import DataQualityError
from salescast.features.point_in_time import (
    CALENDAR,
    HISTORY,
    KEYS,
    PRICE,
    STATIC,
    WEATHER,
    without_weather,
)
from salescast.models.forecaster import Model, from_payload, predict
from salescast.release.manifest import unseal
from salescast.release.payload import parse_model

COLUMNS = tuple(dict.fromkeys((*KEYS, *STATIC, *HISTORY, *CALENDAR, *PRICE, *WEATHER)))
MAX_HORIZON = 14
TOLERANCE = 1e-9  # relative: other processors round the last bits otherwise
MATTERS = ("numpy", "pandas", "scikit-learn", "scipy", "skops")
"""Packages whose version can change a forecast."""

log = logging.getLogger("salescast.api")

KEPT = 2  # releases opened last: the champion, and one on trial
_OPENED: dict[tuple[str, frozenset[str]], "Bundle"] = {}


@dataclass(frozen=True)
class Bundle:
    """One released model and all it needs; never changed, only replaced.

    `contract`: horizon, weather, quantiles, critical, origin and feature columns.
    `dependence`: how the days of a series move together, for orders. `about`: name,
    version, run, what it learned from. `climatology`: see `fallback`. The others are as their
    stages wrote them.
    """

    digest: str
    model: Model
    fallback: Model
    about: Mapping[str, Any]
    climatology: Mapping[str, Any]
    contract: Mapping[str, Any]
    costs: Mapping[str, Any]
    decision: Mapping[str, Any]
    environment: Mapping[str, Any]
    quality: Mapping[str, Any]
    scorecard: Mapping[str, Any]
    dependence: Mapping[str, Any]

    @property
    def version(self) -> str:
        """Version of the model in the registry."""
        return str(self.about["version"])


def read_bundle(folder: Path, digest: str, trusted: Collection[str] = ()) -> Bundle:
    """Return the bundle in `folder`, which must be the one that `digest` stands for.

    `trusted`: classes its model may hold, by the reader's own configuration. Nothing
    is parsed before every byte is checked. Raises DataQualityError, naming the file, where it is
    damaged, was tampered with, or does not answer its own examples.
    """
    files = unseal(folder, digest)
    key = digest, frozenset(trusted)
    made = _OPENED.get(key)
    if made is None:  # a digest stands for every byte: the same bytes are the same bundle
        made = open_bundle(files, digest, trusted)
        while len(_OPENED) >= KEPT:
            _OPENED.pop(next(iter(_OPENED)), None)
        _OPENED[key] = made
    return made


def open_bundle(files: Mapping[str, bytes], digest: str, trusted: Collection[str] = ()) -> Bundle:
    """Return the bundle that the checked `files` make up; raises as `read_bundle`."""
    plain = {
        name.removesuffix(".json"): _parsed(name, content)
        for name, content in files.items()
        if name.endswith(".json")
    }
    examples = plain.pop("examples")
    payload, twin = (
        parse_model(files[name], name, trusted) for name in ("model.skops", "fallback.skops")
    )
    try:
        model, twin_model = from_payload(payload["model"]), from_payload(twin["model"])
        _check_contract(plain["contract"], payload["contract"])
        made = Bundle(digest, model, twin_model, dependence=payload["dependence"], **plain)
        _check_examples(made, examples)
    except Exception as error:  # what was tampered with raises anything
        raise DataQualityError(
            f"release {digest[:12]}…: it does not fit together: {error}"
        ) from error
    _check_environment(made)
    return made


def _parsed(name: str, content: bytes) -> dict[str, Any]:
    try:
        value = as_json(content)
    except ValueError as error:
        raise DataQualityError(f"{name}: {error}") from error
    if not isinstance(value, dict):
        raise DataQualityError(f"{name} holds a {type(value).__name__}, not names and values")
    return value


def _check_contract(contract: Mapping[str, Any], trained: Mapping[str, Any]) -> None:
    levels, critical = contract["quantiles"], contract["critical"]
    known = contract["weather"] in {"issued", "none"} and 1 <= contract["horizon"] <= MAX_HORIZON
    if not known or not all(0 < level < 1 for level in [*levels, *critical.values()]):
        raise ValueError("the contract asks for horizon, weather or quantiles that cannot be")
    apart = [name for name in trained if contract[name] != trained[name]]
    unknown = set(contract["features"]) - set(COLUMNS)
    if apart or unknown:
        raise ValueError(
            f"the contract differs from the model's in {', '.join(apart) or 'nothing'}; this "
            f"program does not build {', '.join(sorted(unknown)) or 'nothing'} of its features"
        )


def example_of(rows: pd.DataFrame, answers: pd.DataFrame) -> dict[str, Any]:
    """Return feature rows and the predictions for them as plain values, every bit kept."""
    return {name: _columns(frame) for name, frame in (("rows", rows), ("answers", answers))}


def _columns(frame: pd.DataFrame) -> dict[str, Any]:
    return {
        str(name): {
            "dtype": str(values.dtype),
            "values": [None if pd.isna(value) else _plain(value) for value in values.tolist()],
        }
        for name, values in frame.items()
    }


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, pd.Timestamp) else value


def _frame(columns: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series(part["values"], dtype=part["dtype"]) for name, part in columns.items()}
    )


def _check_examples(made: Bundle, examples: Mapping[str, Any]) -> None:
    """Raise ValueError where the model does not answer its examples as it did when it was made."""
    rows, answers = (_frame(examples[name]) for name in ("rows", "answers"))
    said = predict(made.model, rows, made.contract["quantiles"], made.contract["critical"])
    numbers = [name for name in answers if answers[name].dtype == np.float64]
    if not len(answers) or not np.allclose(said[numbers], answers[numbers], TOLERANCE, 1e-12):
        raise ValueError("it does not answer its own examples")
    twin = predict(
        made.fallback, without_weather(rows), made.contract["quantiles"], made.contract["critical"]
    )
    if not np.isfinite(twin[numbers]).all(axis=None):
        raise ValueError("its blind twin does not answer its examples")


def _check_environment(made: Bundle) -> None:
    """Log which packages differ from those it was made with; the examples have said it works."""
    for name in MATTERS:
        made_with = made.environment.get("installed", {}).get(name)
        try:
            here = version(name)
        except PackageNotFoundError:
            here = "none"
        if made_with not in {None, here}:
            log.warning("release made with %s %s runs on %s", name, made_with, here)


def encode(value: Any) -> bytes:
    """Return plain values as the JSON of a bundle: the same values are the same bytes."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False)
    return text.encode() + b"\n"
