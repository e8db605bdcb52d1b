"""A second product from this one: ice cream, driven by heat, its data as CSV.

The sample forks, changes what an ice-cream team would and builds its features. `make soak-fork`
also installs the fork, runs its checks, its tests and its whole life cycle.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scripts import fork
from tests.builders import make_tables

EDITABLE = {  # what a fork is expected to change; see docs/how-to/fork.md
    *("config.toml", "src/salescast/contract/schema.py", "src/salescast/features/point_in_time.py"),
    *(
        "src/salescast/models/forecaster.py",
        "src/salescast/ordering/orders.py",
        "src/salescast/evaluation/gate.py",
    ),
}
MOST_FILES, MOST_LINES = 6, 60
CHANGES = {
    "config.toml": {
        'currency = "USD"': 'currency = "EUR"',
        'kind = "integrated"': 'kind = "boosting"  ',
        "cutoffs = 26": "cutoffs = 13",
    },
    "src/salescast/features/point_in_time.py": {
        '"storm", "spell", "temp_anomaly")': '"storm", "spell", "temp_anomaly", "heat")',
        '    return columns | {"normal_probability"': (
            '    heat = np.maximum(columns["temp_anomaly"] + normal.temp_c - 15.0, 0.0)\n'
            '    columns["heat"] = heat\n'
            '    return columns | {"normal_probability"'
        ),
        "return drivers.observed_columns(rain, temp, drivers.climate(rain, temp, days, days))": (
            "normal = drivers.climate(rain, temp, days, days)\n"
            "    columns = drivers.observed_columns(rain, temp, normal)\n"
            '    heat = np.maximum(columns["temp_anomaly"] + normal.temp_c - 15.0, 0.0)\n'
            '    return columns | {"heat": heat}'
        ),
    },
}


def _git(folder: Path, *words: str) -> str:
    return fork.git(folder, "-c", "user.name=us", "-c", "user.email=us@example.org", *words)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Fork HEAD to a product called icecream."""
    folder = tmp_path_factory.mktemp("fork") / "icecream"
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "us")
            patch.setenv(f"GIT_{role}_EMAIL", "us@example.org")
        fork.new("icecream", folder)
        yield folder


def test_every_path_that_a_fork_removes_exists() -> None:
    """A moved file would stay in the fork."""
    assert [name for name in fork.REMOVED if not (fork.ROOT / name).exists()] == []


@pytest.fixture(scope="module")
def second(made: Path) -> Path:
    """Make it an ice-cream product: a temperature driver, its own data as CSV."""
    for name, changes in CHANGES.items():
        text = (made / name).read_text("utf-8")
        for old, new in changes.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (made / name).write_text(text, "utf-8")
    (made / "inbox").mkdir()
    for table, rows in hot_days().items():
        rows.to_csv(made / "inbox" / f"{table}.csv", index=False)
    return made


def hot_days(count: int = 1300) -> dict[str, pd.DataFrame]:
    """Return tables in which ice cream sells by the degree above fifteen, issued ever less surely.

    Several summers: trees cannot tell what a heat sells that they have never seen.
    """
    tables = make_tables(count)
    rng = np.random.default_rng(5)
    seen, issued = tables["weather_observed"], tables["weather_forecast"]
    seen["temp_c"] = (_season(seen["date"]) + rng.normal(0, 4, len(seen))).round(1)
    observed = seen.set_index(["location_id", "date"])["temp_c"]
    true = observed.reindex(pd.MultiIndex.from_frame(issued[["location_id", "date"]])).to_numpy()
    usual, lead = (
        _season(issued["date"]),
        (issued["date"] - issued["issued_at"].dt.normalize()).dt.days,
    )
    sure = np.clip(1.0 - lead.to_numpy() / 12.0, 0.0, 1.0)
    issued["temp_c"] = (usual + sure * np.nan_to_num(true - usual)).round(1)
    places = tables["sales"]["store_id"].str.replace("s", "p")
    temp = observed.loc[list(zip(places, tables["sales"]["date"], strict=True))].to_numpy()
    tables["sales"]["units"] = rng.poisson(3 * np.exp(0.12 * np.maximum(temp - 15, 0)))
    return tables


def _season(days: pd.Series) -> np.ndarray:
    return np.asarray(14 - 9 * np.cos(2 * np.pi * days.dt.day_of_year.to_numpy() / 365.25))


def _run(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(folder / "src"), str(folder)])
    environment = os.environ | {"PYTHONPATH": path, "SALESCAST_CONFIG": str(folder / "config.toml")}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_a_fork_has_its_own_name_and_history(made: Path) -> None:
    """One commit, which the branch `upstream` keeps, and a README that asks what to decide."""
    assert _git(made, "rev-list", "--count", "HEAD") == "1"
    assert _git(made, "rev-parse", "upstream") == _git(made, "rev-parse", "main")
    assert json.loads((made / fork.RECORD).read_text())["name"] == "icecream"
    assert (made / "README.md").read_text().count("- [ ]") >= 6


def test_nothing_of_the_simulated_retailer_is_left(made: Path) -> None:
    """But for the licence, and the script that removes it."""
    listed = _git(made, "grep", "-il", "godatamarkets").splitlines()
    assert set(listed) <= {"LICENSE", "scripts/fork.py", "scripts/fork_removes.txt"}


def test_a_fork_is_clean_from_its_first_commit(made: Path) -> None:
    """Lint, formatting and the agreement of the repository with itself hold at once."""
    for words in (["ruff", "check"], ["ruff", "format", "--check"]):
        done = _run(made, "-m", *words, "--no-cache")
        assert done.returncode == 0, done.stdout
    tests = ("tests/test_repo.py", "-k", "not light", "-p", "no:cacheprovider")
    done = _run(made, "-m", "pytest", "-q", *tests)
    assert done.returncode == 0, done.stdout[-3000:]


def test_a_second_product_changes_a_few_lines_of_what_is_the_forks(second: Path) -> None:
    """Another driver, other data: at most six files and sixty lines, none of the machinery."""
    stat = [line.split("\t") for line in _git(second, "diff", "--numstat").splitlines()]
    lines = sum(int(added) + int(removed) for added, removed, _ in stat)
    summary = f"{len(stat)} files, {lines} lines changed: {', '.join(name for *_, name in stat)}\n"
    sys.stdout.write(summary)  # a bar of the project: `make soak-fork` shows it
    assert {name for *_, name in stat} <= EDITABLE
    assert len(stat) <= MOST_FILES
    assert lines <= MOST_LINES


def test_the_second_products_driver_reaches_its_features(second: Path) -> None:
    """The fork's own code reads the CSV and builds the point-in-time table with heat in it."""
    script = (
        "import pandas as pd; from salescast.features import point_in_time\n"
        "from salescast.data.feeds import open_feed; from salescast.settings import read_settings\n"
        "s = read_settings(); t = open_feed(s.feed, s.root)(None, pd.Timestamp('2100-01-01'))\n"
        "r = point_in_time.build(t, [pd.Timestamp('2024-02-10'), pd.Timestamp('2024-07-01')])\n"
        "print(*r.groupby('origin')['heat'].mean())"
    )
    done = _run(second, "-c", script)
    assert done.returncode == 0, done.stderr
    winter, summer = map(float, done.stdout.split())
    assert winter < 1
    assert summer > 4


def test_what_is_new_upstream_is_merged_with_what_the_fork_changed(
    second: Path, tmp_path: Path
) -> None:
    """A later commit arrives, with the fork's identity; the fork's own lines stay."""
    upstream = tmp_path / "upstream"
    fork.git(fork.ROOT, "clone", "--quiet", "--shared", str(fork.ROOT), str(upstream))
    path = upstream / "src/salescast/errors.py"
    path.write_text(path.read_text() + "\n# GoDataMarkets says hello\n")
    _git(upstream, "commit", "--quiet", "--all", "--message", "Say hello")
    _git(second, "add", "--all")
    _git(second, "commit", "--quiet", "--message", "Sell ice cream")

    done = _run(second, "-m", "scripts.fork", "update", str(upstream))

    assert done.returncode == 0, done.stderr
    assert "# Icecream says hello" in (second / "src/salescast/errors.py").read_text()
    assert '"heat"' in (second / "src/salescast/features/point_in_time.py").read_text()
    assert _git(second, "status", "--porcelain") == ""


@pytest.mark.parametrize(("name", "reason"), [("Ice Cream", "NAME"), ("icecream", "DEST")])
def test_a_fork_that_cannot_be_is_refused(name: str, reason: str, tmp_path: Path) -> None:
    """A name that is none, or a folder that holds something: nothing is written."""
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(fork.ConfigError, match=reason):
        fork.new(name, tmp_path)


@pytest.mark.soak("SOAK_FORK")
def test_the_second_product_is_green_and_lives(second: Path) -> None:
    """Installed on its own, it passes its checks, runs its life cycle, passes its tests."""
    of_make = re.compile("SALESCAST|PYTEST|SOAK|PYTHONPATH|VIRTUAL_ENV|PREFECT|MAKE")
    environment = {k: v for k, v in os.environ.items() if not of_make.match(k)}
    for word in os.environ["SOAK_FORK"].split(","):
        done = subprocess.run(["make", word], cwd=second, env=environment, check=False)
        assert done.returncode == 0, word
