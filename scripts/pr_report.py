"""What a change is worth: HEAD and a base commit backtested on the same origins, in money.

`python -m scripts.pr_report compare BASE` runs both and writes build/pr-report/report.json;
`… comment HEAD_SHA` writes the report on the pull request. In CI they run apart: the first runs
the pull request's code and may not write, the second may write and reads numbers alone.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from salescast.data import store, versions
from salescast.data.files import read_frame, write_json
from salescast.errors import ConfigError, DataQualityError, SalescastError
from salescast.evaluation import metrics
from salescast.evaluation.backtest import CHALLENGER, SEGMENTS, YEAR_DAYS
from salescast.evaluation.inference import interval
from salescast.settings import Settings, read_settings
from salescast.stages.backtesting import scored
from scripts import github
from scripts.fork import git
from scripts.pr_comment import read_report, render

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "build" / "pr-report"
STAGES = ("features", "backtest")
MOST = 12  # names printed of each list
OPENAPI = (
    "import json; from api.main import create_app; from salescast.settings import read_settings; "
    "print(json.dumps(create_app(read_settings()).openapi()))"
)


def compare(base: Settings, head: Settings) -> dict[str, Any]:
    """Return the numbers of a report on two backtested workspaces.

    Both are scored on the head's data and with the head's costs, at the origins they share.
    Raises DataQualityError where they share none.
    """
    tables = store.read_all(head.data)
    rows = [
        scored(tables, read_frame(settings.build / "predictions.parquet", "backtest"))
        for settings in (base, head)
    ]
    rows = [frame[frame["model"] == CHALLENGER] for frame in rows]
    common = set(rows[0]["origin"]) & set(rows[1]["origin"])
    if not common:
        raise DataQualityError("base and head share no origin: their data end on other days")
    before, after = (frame[frame["origin"].isin(common)] for frame in rows)
    yearly = YEAR_DAYS / int(after["lead_time"].max())
    costs = [frame.groupby("origin")["cost"].sum() for frame in (before, after)]
    change = list((costs[1] - costs[0]) * yearly)
    low, high = interval(change, 0.05)
    changes = segment_changes(before, after, yearly / len(common))
    return {
        "origins": len(common),
        "base": _scores(before, yearly / len(common)),
        "head": _scores(after, yearly / len(common)),
        "change": [float(np.mean(change)), low, high],
        "same_data": versions.data_version(base.data) == versions.data_version(head.data),
        "segments": {kind: _summary(values) for kind, values in changes.items()},
    }


def _scores(rows: pd.DataFrame, scale: float) -> dict[str, float]:
    actual, median, mean, low, high = (
        rows[column].to_numpy(float) for column in ("actual", "p50", "mean", "p10", "p90")
    )
    return {
        "cost_per_year": float(rows["cost"].sum() * scale),
        "wape": metrics.wape(actual, median),
        "bias": metrics.bias(actual, mean),
        "coverage_80": metrics.coverage(actual, low, high),
    }


def segment_changes(
    before: pd.DataFrame, after: pd.DataFrame, scale: float
) -> dict[str, pd.Series]:
    """Return kind → change in cost a year by segment."""
    return {
        kind: (
            after.groupby(column)["cost"]
            .sum()
            .sub(before.groupby(column)["cost"].sum(), fill_value=0)
            * scale
        )
        for kind, column in SEGMENTS.items()
    }


def _summary(changes: pd.Series) -> dict[str, float]:
    whole = changes.round()
    return {
        "cheaper": int((whole < 0).sum()),
        "dearer": int((whole > 0).sum()),
        "largest_saving": float(min(changes.min(), 0.0)),
        "largest_increase": float(max(changes.max(), 0.0)),
    }


def api_changes(base: dict[str, Any], head: dict[str, Any]) -> dict[str, list[str]]:
    """Return the operations and schemas that were added, removed or changed."""
    old, new = _contract(base), _contract(head)
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
    }


def _contract(document: dict[str, Any]) -> dict[str, Any]:
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    schemas: dict[str, Any] = document.get("components", {}).get("schemas", {})
    return operations | schemas


def _run(folder: Path, *arguments: str) -> str:
    """Run Python with the code and configuration of a checkout and return its output."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(folder / "src"), str(folder)]),
        "SALESCAST_CONFIG": str(folder / "config.toml"),
    }
    process = subprocess.run(  # noqa: S603 - fixed commands
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if process.returncode:
        raise DataQualityError(
            f"{folder.name}: {' '.join(arguments)[:60]}: {process.stderr[-1000:]}"
        )
    return process.stdout


def backtest(name: str, commit: str) -> tuple[Settings, dict[str, Any], float]:
    """Check a commit out, backtest it; return its settings, OpenAPI document and the seconds."""
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    git(ROOT, "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(folder))
    git(folder, "checkout", "--quiet", commit)
    versions.pull(folder)
    start = time.perf_counter()
    for stage in STAGES:
        _run(folder, "-m", "salescast.stages", stage)
    seconds = time.perf_counter() - start
    return read_settings(folder / "config.toml"), json.loads(_run(folder, "-c", OPENAPI)), seconds


def write_report(base: str) -> str:
    """Compare HEAD with `base`, both as committed, write report.json, and return it as text."""
    commits = [git(ROOT, "rev-parse", "--verify", f"{ref}^{{commit}}") for ref in (base, "HEAD")]
    (old, old_api, before), (new, new_api, after) = (
        backtest(name, commit) for name, commit in zip(("base", "head"), commits, strict=True)
    )
    report, api = compare(old, new), api_changes(old_api, new_api)
    report["base"]["seconds"], report["head"]["seconds"] = before, after
    report |= {"commit": commits[1], "api": {word: len(names) for word, names in api.items()}}
    write_json(FOLDER / "report.json", report)
    comment = render(read_report(FOLDER / "report.json", commits[1]), new.product.currency)
    names = [f"API {word}: {', '.join(names[:MOST])}" for word, names in api.items() if names]
    return "\n".join([comment, *names])


def write_comment(commit: str) -> None:
    """Write the report on the open pull request whose head is `commit`."""
    report = read_report(FOLDER / "report.json", commit)
    currency = read_settings(ROOT / "config.toml").product.currency
    with github.client() as client:
        number = github.pull_request(client, commit)
        if number is None:
            raise ConfigError("no open pull request has this head any more")
        github.comment(client, number, render(report, currency))


def main(arguments: Sequence[str]) -> int:
    """Compare or comment, and return the exit code."""
    try:
        match arguments:
            case ["compare", base]:
                print(write_report(base))
            case ["comment", commit]:
                write_comment(commit)
            case _:
                raise ConfigError("usage: compare BASE, or comment HEAD_SHA")
    except SalescastError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
