"""`dvc repro` on a fresh clone: every result from files and settings, and the flow's bytes."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from salescast.data import versions
from salescast.settings import read_settings
from salescast.stages import REPRODUCIBLE
from tests.clones import ROOT, clone_head, code_of, git_status, shrink

SMALL = {
    "cutoffs = 26": "cutoffs = 4",
    "refit_every = 13": "refit_every = 4",
    "origin_every_days = 5": "origin_every_days = 20",
}
NAMES = ("features.parquet", "predictions.parquet", "scorecard.json", "metrics.json", "model.skops")
DOMAIN = ("contract", "features", "models", "ordering", "evaluation", "quality")
IDENTITY = {
    f"GIT_{role}_{what}": "test@example.org"
    for role in ("AUTHOR", "COMMITTER")
    for what in ("NAME", "EMAIL")
}


def _run(clone: Path, *command: str) -> str:
    """Run a command in the clone, with the clone's code, and return what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = code_of(clone) | IDENTITY | {"PATH": path}
    done = subprocess.run(
        command, cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clone HEAD and pull its data from the embedded remote."""
    clone = clone_head(tmp_path_factory.mktemp("dvc") / "clone")
    _run(clone, "dvc", "pull")
    assert git_status(clone) == ""
    return clone


@pytest.fixture(scope="module")
def clone(fresh: Path) -> Path:
    """Reduce the clone to 18 series and few origins, reproduce, and commit the result."""
    config = fresh / "config.toml"
    text = config.read_text()
    for long, short in SMALL.items():
        assert long in text
        text = text.replace(long, short)
    config.write_text(text)
    shrink(fresh / "data")
    _run(fresh, "dvc", "add", "data")
    _run(fresh, "dvc", "repro")
    _run(fresh, "git", "commit", "--quiet", "--all", "--message", "Fewer shops")
    assert git_status(fresh) == ""
    return fresh


def test_a_second_repro_does_nothing(clone: Path) -> None:
    """What did not change is not made again."""
    assert "Running stage" not in _run(clone, "dvc", "repro")


def test_the_flow_makes_the_same_bytes(clone: Path, tmp_path: Path) -> None:
    """The stages, called as the flows call them, write what `dvc repro` wrote."""
    versions.init_workspace(tmp_path / "copy", clone)
    settings = read_settings(tmp_path / "copy" / "config.toml")

    for stage in REPRODUCIBLE.values():
        stage(settings)

    same = [n for n in NAMES if (settings.build / n).read_bytes() == _built(clone, n)]
    assert same == list(NAMES)


def _built(clone: Path, name: str) -> bytes:
    return (clone / "build" / name).read_bytes()


def test_the_graph_holds_each_stage(clone: Path) -> None:
    """`dvc dag` draws the stages and the data they come from."""
    drawn = _run(clone, "dvc", "dag", "--dot")
    assert [name for name in ("data.dvc", *REPRODUCIBLE) if f'"{name}"' not in drawn] == []


def test_the_scores_are_drawn(clone: Path) -> None:
    """`dvc plots show` draws each segment of the scorecard."""
    _run(clone, "dvc", "plots", "show", "--out", "build/dvc_plots")
    page = (clone / "build/dvc_plots/index.html").read_text()
    assert [n for n in ("lead_time", "season", "store_id", "item_id") if n not in page] == []


def test_an_experiment_is_compared_with_the_last_commit(clone: Path) -> None:
    """`dvc exp run` with another model changes the metrics, and the diff shows both."""
    params = ("model.kind=boosting", "model.iterations=5")
    changed = [word for param in params for word in ("--set-param", f"config.toml:{param}")]
    _run(clone, "dvc", "exp", "run", "--name", "boosting", *changed)

    diff = json.loads(_run(clone, "dvc", "metrics", "diff", "--json"))
    listed = _run(clone, "dvc", "exp", "list", "--name-only")

    wape = diff["build/metrics.json"]["wape"]
    assert wape["old"] != wape["new"]
    assert "boosting" in listed


def test_each_package_that_makes_results_is_a_dependency() -> None:
    """A change to the code of a result makes it anew: no package of the domain is forgotten."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
    watched = {dep for stage in stages for dep in stage["deps"]}
    modules = [dep for dep in watched if dep.endswith(".py")]
    needed = {f"src/salescast/{name}" for path in modules for name in _imported(path)}
    assert sorted(needed - watched) == []


def _imported(path: str) -> set[str]:
    """Return the packages of the domain and the contract that a module imports."""
    nodes = ast.walk(ast.parse((ROOT / path).read_text()))
    names = [str(node.module).split(".") for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name[1] for name in names if name[0] == "salescast" and name[1:2]} & set(DOMAIN)
