"""Whether a commit and this checkout give the same results: `BASE=commit make bench-same-results`.

Both run one small life cycle in this environment; common columns are compared bit for bit.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from bench.flow import CLI, ROOT
from bench.retail import FOLDER, Figure, publish
from salescast.stages import STAGES

SMALL = {"demo": "small", "cutoffs = 26": "cutoffs = 13"}
LEFT_OUT = {"ingest", "version", "answer", "monitor", "canary"}
TABLES = ("features", "predictions", "forecasts", "orders")
IGNORED = {"made_at", "model_version"}  # differ between any two runs


def run(checkout: Path, workspace: Path) -> Path:
    """Run the life cycle of a checkout's code and configuration; return the folder of results."""
    config = (checkout / "config.toml").read_text("utf-8")
    for old, new in SMALL.items():
        config = config.replace(old, new)
    workspace.mkdir()
    (workspace / "config.toml").write_text(config, "utf-8")
    path = f"{checkout}{os.pathsep}{checkout / 'src'}"
    variables = {"SALESCAST_CONFIG": str(workspace / "config.toml"), "PYTHONPATH": path}
    names = [name for name in STAGES if name not in LEFT_OUT]
    for command in ["ingest --until 2024-12-29", *(f"stage {name}" for name in names)]:
        subprocess.run([*CLI, *command.split()], env=os.environ | variables, check=False)  # noqa: S603
    return workspace / "build"


def figures(base: str) -> Iterator[Figure]:
    """Run both and yield 1 for each result that is the same."""
    folder = FOLDER / "same-results"
    shutil.rmtree(folder, ignore_errors=True)
    git = ["git", "-C", str(ROOT), "worktree", "add", "--force", "--detach", "--quiet"]
    subprocess.run([*git, str(folder / "code"), base], check=True)  # noqa: S603
    builds = run(folder / "code", folder / "base"), run(ROOT, folder / "head")
    for name in TABLES:
        before, after = (pd.read_parquet(build / f"{name}.parquet") for build in builds)
        columns = [c for c in before if c in after and c not in IGNORED]
        yield Figure(name, float(before[columns].equals(after[columns])), "1 if same", "≥ 1")
    decisions = [json.loads((build / "decision.json").read_text("utf-8")) for build in builds]
    before, after = (sorted((c["name"], c["passed"]) for c in d["checks"]) for d in decisions)
    yield Figure("gate", float(before == after), "1 if same", "≥ 1")


if __name__ == "__main__":
    sys.exit(0 if publish("same-results", figures(os.environ["BASE"])) else 1)
