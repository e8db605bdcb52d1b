"""What a change is worth: HEAD and a base commit examined on the same origins, in money.

`python -m scripts.pr_report compare BASE` runs both and writes build/pr-report/report.json and .md;
`… comment` writes the report on the pull request. The two run apart in CI: the first runs the
pull request's code and may not write, the second may write and takes nothing but numbers and names
of a narrow alphabet, so that no report can say more than a report.
"""

import json
import os
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
from salescast.settings import Settings, read_settings
from salescast.stages.backtesting import scored
from scripts import github
from scripts.verdict import MOST, Report, read_report, render

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "build" / "pr-report"
STAGES = ("features", "backtest")
OPENAPI = (
    "import json; from api.main import create_app; from salescast.settings import read_settings; "
    "print(json.dumps(create_app(read_settings()).openapi()))"
)


def compare(base: Settings, head: Settings, names: tuple[str, str]) -> dict[str, Any]:
    """Return the report's numbers of two examined workspaces; `names`: their commits.

    Both are scored on the head's data and with the head's costs, at the origins they share.
    Raises DataQualityError where they share none.
    """
    tables = store.read_all(head.data)
    both = [
        scored(tables, read_frame(s.build / "predictions.parquet", "backtest"))
        for s in (base, head)
    ]
    both = [rows[rows["model"] == CHALLENGER] for rows in both]
    common = set(both[0]["origin"]) & set(both[1]["origin"])
    if not common:
        raise DataQualityError("base and head share no origin: their data end on other days")
    before, after = (rows[rows["origin"].isin(common)] for rows in both)
    horizon = int(after["lead_time"].max())
    yearly = YEAR_DAYS / horizon
    spent = [rows.groupby("origin")["cost"].sum() for rows in (before, after)]
    change = list((spent[1] - spent[0]) * yearly)
    low, high = metrics.bootstrap(change, [0.05, 0.95], seed=0)
    scale = yearly / len(common)
    return {
        "currency": head.product.currency,
        "origins": len(common),
        "base": _scores(before, names[0], versions.data_version(base.data), scale),
        "head": _scores(after, names[1], versions.data_version(head.data), scale),
        "change": [float(np.mean(change)), low, high],
        "segments": _segments(before, after, scale),
    }


def _scores(rows: pd.DataFrame, commit: str, data: str, scale: float) -> dict[str, Any]:
    actual, median, mean, low, high = (
        rows[column].to_numpy(float) for column in ("actual", "p50", "mean", "p10", "p90")
    )
    return {
        "commit": commit,
        "data": data,
        "cost_per_year": float(rows["cost"].sum() * scale),
        "wape": metrics.wape(actual, median),
        "bias": metrics.bias(actual, mean),
        "coverage_80": metrics.coverage(actual, low, high),
        "seconds": 0.0,
    }


def _segments(before: pd.DataFrame, after: pd.DataFrame, scale: float) -> list[dict[str, Any]]:
    """Return the segments whose money moved most."""
    found: list[dict[str, Any]] = []
    for kind, column in SEGMENTS.items():
        spent = [rows.groupby(column)["cost"].sum() * scale for rows in (before, after)]
        for name in spent[1].index:
            old, new = float(spent[0].get(name, 0.0)), float(spent[1][name])
            found.append({"kind": kind, "name": str(name), "before": old, "after": new})
    return sorted(found, key=lambda one: -abs(one["after"] - one["before"]))[:MOST]


def contract(base: dict[str, Any], head: dict[str, Any]) -> dict[str, list[str]]:
    """Return the operations and schemas that were added, removed or changed."""
    old, new = _contract(base), _contract(head)
    return {
        "added": sorted(new.keys() - old.keys())[:50],
        "removed": sorted(old.keys() - new.keys())[:50],
        "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name])[:50],
    }


def _contract(document: dict[str, Any]) -> dict[str, Any]:
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    schemas: dict[str, Any] = document.get("components", {}).get("schemas", {})
    return operations | schemas


def _run(folder: Path, *words: str) -> str:
    """Run Python with the code and the configuration of a checkout; raise with its last words."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(folder / "src"), str(folder)]),
        "SALESCAST_CONFIG": str(folder / "config.toml"),
    }
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise DataQualityError(f"{folder.name}: {' '.join(words)[:60]}: {done.stderr[-1000:]}")
    return done.stdout


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise ConfigError(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


def examine(name: str, commit: str) -> tuple[Settings, dict[str, Any], float]:
    """Check a commit out, examine it, and return its settings, OpenAPI document and seconds."""
    folder = FOLDER / name
    subprocess.run(["rm", "-rf", str(folder)], check=True)  # noqa: S603, S607 - a folder of ours
    FOLDER.mkdir(parents=True, exist_ok=True)
    _git("clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(folder))
    _git("-C", str(folder), "checkout", "--quiet", commit)
    versions.pull(folder)
    start = time.perf_counter()
    for stage in STAGES:
        _run(folder, "-m", "salescast.stages", stage)
    seconds = time.perf_counter() - start
    return read_settings(folder / "config.toml"), json.loads(_run(folder, "-c", OPENAPI)), seconds


def write_report(base: str) -> Report:
    """Compare HEAD with `base`, both as committed, and write report.json and report.md."""
    commits = [_git("rev-parse", "--verify", f"{ref}^{{commit}}") for ref in (base, "HEAD")]
    (old, was, before), (new, now, after) = (
        examine(name, commit) for name, commit in zip(("base", "head"), commits, strict=True)
    )
    found = compare(old, new, (commits[0], commits[1])) | contract(was, now)
    found["base"]["seconds"], found["head"]["seconds"] = before, after
    write_json(FOLDER / "report.json", found)
    report = read_report(FOLDER / "report.json")
    (FOLDER / "report.md").write_text(render(report), encoding="utf-8")
    return report


def main(words: Sequence[str]) -> int:
    """Compare or comment, and return the exit code."""
    try:
        match words:
            case ["compare", base]:
                print(render(write_report(base)))
            case ["comment"]:
                report = read_report(FOLDER / "report.json")
                with github.client() as client:
                    number = github.pull_request(client, os.environ["HEAD_SHA"])
                    if number is None:
                        raise ConfigError("no open pull request has this head any more")
                    github.comment(client, number, render(report))
            case _:
                raise ConfigError("say compare BASE or comment")
    except SalescastError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
