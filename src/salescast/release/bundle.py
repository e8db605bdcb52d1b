"""A release, checked and ready to forecast."""

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from salescast.data.files import as_json
from salescast.errors import DataQualityError
from salescast.features.drivers import CALENDAR
from salescast.features.point_in_time import (
    HISTORY,
    KEYS,
    PRICE,
    STATIC,
    WEATHER,
    without_weather,
)
from salescast.models.forecaster import Forecaster, forecast
from salescast.release.payload import parse_model, unseal

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
    `dependence`: the correlation of a series' days, for orders. `about`: name, version, run, and
    the data it was trained on. `climatology`: see `fallback.climatology`. The others are as their
    stages wrote them.
    """

    digest: str
    model: Forecaster
    fallback: Forecaster
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
    """Return the bundle in `folder`, whose manifest must have the SHA-256 `digest`.

    `trusted`: classes its model may hold, by the reader's own configuration. Nothing is parsed
    before every byte is checked. Raises DataQualityError, naming the file, where it is damaged,
    was tampered with, or does not predict its own examples.
    """
    files = unseal(folder, digest)
    key = digest, frozenset(trusted)
    if key not in _OPENED:  # the digest covers every byte: the same digest is the same bundle
        bundle = open_bundle(files, digest, trusted)
        while len(_OPENED) >= KEPT:
            _OPENED.pop(next(iter(_OPENED)), None)
        _OPENED[key] = bundle
    return _OPENED[key]


def open_bundle(files: Mapping[str, bytes], digest: str, trusted: Collection[str] = ()) -> Bundle:
    """Return the bundle that the checked `files` make up; raises as `read_bundle`."""
    plain = {
        name.removesuffix(".json"): _parsed(name, content)
        for name, content in files.items()
        if name.endswith(".json")
    }
    examples = plain.pop("examples")
    payload, fallback = (
        parse_model(files[name], name, trusted) for name in ("model.skops", "fallback.skops")
    )
    try:
        model, twin = payload["model"], fallback["model"]
        _check_contract(plain["contract"], payload["contract"])
        bundle = Bundle(digest, model, twin, dependence=payload["dependence"], **plain)
        _check_examples(bundle, examples)
    except Exception as error:  # what was tampered with raises anything
        raise DataQualityError(
            f"release {digest[:12]}…: its parts do not fit together: {error}"
        ) from error
    _log_other_packages(bundle)
    return bundle


def _parsed(name: str, content: bytes) -> dict[str, Any]:
    try:
        value = as_json(content)
    except ValueError as error:
        raise DataQualityError(f"{name}: {error}") from error
    if not isinstance(value, dict):
        raise DataQualityError(f"{name} holds a {type(value).__name__}, not names and values")
    return value


def _check_contract(contract: Mapping[str, Any], trained: Mapping[str, Any]) -> None:
    levels = [*contract["quantiles"], *contract["critical"].values()]
    valid = contract["weather"] in {"issued", "none"} and 1 <= contract["horizon"] <= MAX_HORIZON
    if not valid or not all(0 < level < 1 for level in levels):
        raise ValueError("the contract names an impossible horizon, weather or quantile")
    different = [name for name in trained if contract[name] != trained[name]]
    if different:
        raise ValueError(f"contract and model differ in {', '.join(different)}")
    unknown = set(contract["features"]) - set(COLUMNS)
    if unknown:
        raise ValueError(f"this program builds no feature {', '.join(sorted(unknown))}")


def example_of(rows: pd.DataFrame, answers: pd.DataFrame) -> dict[str, Any]:
    """Return feature rows and their predictions as plain values, bit for bit."""
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


def _check_examples(bundle: Bundle, examples: Mapping[str, Any]) -> None:
    """Raise ValueError where the model predicts its examples otherwise than when it was made."""
    rows, answers = (_frame(examples[name]) for name in ("rows", "answers"))
    levels = bundle.contract["quantiles"], bundle.contract["critical"]
    numbers = [name for name in answers if answers[name].dtype == np.float64]
    predicted = forecast(bundle.model, rows, *levels)[numbers]
    if not len(answers) or not np.allclose(predicted, answers[numbers], TOLERANCE, 1e-12):
        raise ValueError("the model does not predict its own examples")
    if not np.isfinite(forecast(bundle.fallback, without_weather(rows), *levels)[numbers]).all(
        axis=None
    ):
        raise ValueError("the fallback model does not predict the examples")


def other_packages(bundle: Bundle) -> list[str]:
    """Return the packages whose version here is not the one that the release was made with."""
    released = bundle.environment.get("installed", {})
    return [
        f"{name} {installed(name)} instead of {released[name]}"
        for name in MATTERS
        if released.get(name) not in {None, installed(name)}
    ]


def installed(name: str) -> str | None:
    """Return the installed version of a package, None where it is missing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _log_other_packages(bundle: Bundle) -> None:
    if others := other_packages(bundle):  # a warning only: it predicts its examples all the same
        log.warning("the release runs on other packages: %s", ", ".join(others))


def encode(value: Any) -> bytes:
    """Return plain values as JSON; equal values give equal bytes."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False)
    return text.encode() + b"\n"
