"""Small releases for tests: made in a moment, without registry or gate."""

import tempfile
from functools import lru_cache
from pathlib import Path

import pandas as pd

from salescast.features.climatology import climatology
from salescast.features.point_in_time import build, past, without_weather
from salescast.ledger.ledger import Ledger
from salescast.models import make
from salescast.models.forecaster import forecast
from salescast.registry import write_model
from salescast.release import Release, Releases, encode, example_of
from salescast.release.bundle import COLUMNS
from salescast.settings import Settings
from tests.builders import FIRST, make_tables

ORIGIN = FIRST + pd.Timedelta(days=199)
CONTRACT = {
    "origin": f"{ORIGIN:%Y-%m-%d}",
    "horizon": 14,
    "weather": "issued",
    "quantiles": [0.05, 0.1, 0.5, 0.9],
    "critical": {"u1": 0.8, "u2": 0.9},
}
DEPENDENCE = {"decay": 0.5, "share": {}, "usual": 0.2}
QUICK = {"iterations": 5, "learning_rate": 0.1, "max_leaf_nodes": 7, "min_samples_leaf": 20}
QUICK |= {"l2_regularization": 1.0}


def skops_bytes(payload: object) -> bytes:
    """Return a payload as the bytes of a model file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.skops")
        write_model(path, payload)
        return path.read_bytes()


@lru_cache
def make_models(kind: str) -> tuple[bytes, bytes, bytes]:
    """Return a quick model, its blind twin and its examples, as files."""
    tables = make_tables()
    rows = build(tables, pd.date_range(ORIGIN - pd.Timedelta(days=60), ORIGIN, freq="4D"))
    rows, happened = rows[rows["origin"] < ORIGIN], past(tables, ORIGIN)
    params = QUICK if kind == "boosting" else {}
    model = make(kind, params, 1).fit(rows, happened)
    twin = make("weekday_mean", {}, 1).fit(without_weather(rows), happened)
    payload = {
        "model": model,
        "contract": CONTRACT,
        "dependence": {"decay": 0.5, "share": {}, "usual": 0.2},
    }
    answers = forecast(model, rows.head(3), CONTRACT["quantiles"], CONTRACT["critical"])
    examples = encode(example_of(rows.head(3), answers))
    return skops_bytes(payload), skops_bytes({"model": twin}), examples


def make_files(kind: str = "weekday_mean", version: str = "1", **parts: bytes) -> dict[str, bytes]:
    """Return the files of a release; `parts` replace some, by name without ending."""
    model, twin, examples = make_models(kind)
    about = {"name": "umbrella-sales", "version": version, "run_id": "r", "git_commit": None}
    about |= {"trained_until": CONTRACT["origin"], "trained_on": "a.dir", "quality_verdict": None}
    plain = {
        "about": about,
        "climatology": climatology(make_tables()["weather_observed"]),
        "contract": CONTRACT | {"features": sorted(COLUMNS)},
        "costs": {},
        "decision": {"verdict": "promote"},
        "environment": {},
        "quality": {},
        "scorecard": {},
    }
    files = {f"{name}.json": encode(value) for name, value in plain.items()}
    files |= {"model.skops": model, "fallback.skops": twin, "examples.json": examples}
    return files | {name: parts[name.partition(".")[0]] for name in files if name[:-5] in parts}


def release(
    settings: Settings, kind: str = "weekday_mean", version: str = "1", **parts: bytes
) -> Release:
    """Publish a release and let it serve, as a promotion does; return it."""
    return serve_release(settings, version, make_files(kind, version, **parts))


def serve_release(settings: Settings, version: str, files: dict[str, bytes]) -> Release:
    """Publish a release's files, journal its promotion and let it serve; return it."""
    releases = Releases(settings.releases)
    digest = releases.publish(version, files)
    with Ledger(settings.ledger_url) as ledger:
        row = {"kind": "promote", "model_version": version, "digest": digest, "reason": "test"}
        after = len(ledger.promotions())
        sequence = ledger.record_promotion(after, **row, replaced_version=None)
    return releases.point(Release(sequence, version, digest))
