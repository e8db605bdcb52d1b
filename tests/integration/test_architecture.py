"""What docs/explanation/architecture.md says about adding something works as printed there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.builders import make_tables

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/architecture.md").read_text("utf-8")
BLOCK = re.compile(r'```\w+ title="([^",]+)(?:, after: (.*?))?"\n(.*?)```', re.DOTALL)
COSTS = {  # section → new files, lines added to files that exist
    "A driver of demand": (0, 2),
    "A kind of model": (1, 1),
    "A check of the data": (0, 1),
    "An endpoint": (3, 2),
    "A stage": (1, 2),
}


def blocks(section: str) -> list[tuple[str, str, str]]:
    """Return file, line to insert after (empty: a new file) and text of each block."""
    text = PAGE.split(f"### {section}\n", 1)[1].split("\n### ", 1)[0]
    return [(name, after, code) for name, after, code in BLOCK.findall(text)]


def add(copy: Path, section: str) -> None:
    """Make the changes of a section."""
    for name, after, code in blocks(section):
        path = copy / name
        if not after:
            assert not path.exists(), name
            path.write_text(code, "utf-8")
            continue
        lines = path.read_text("utf-8").splitlines(keepends=True)
        assert lines.count(after + "\n") == 1, after
        lines.insert(lines.index(after + "\n") + 1, code)
        path.write_text("".join(lines), "utf-8")


def run(copy: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run Python on the copy's code."""
    path = os.pathsep.join([str(copy / "src"), str(copy)])
    return subprocess.run(
        [sys.executable, *words],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": path} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what is committed or changed here, and make every addition of the page."""
    target = tmp_path_factory.mktemp("copy")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().splitlines():
        if (ROOT / name).is_file() and not name.startswith(("sample-remote/", "docs/images/")):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    for section in COSTS:
        add(target, section)
    return target


@pytest.mark.parametrize("section", COSTS)
def test_an_addition_takes_few_files(section: str) -> None:
    """New files and lines in old ones are as many as promised."""
    changes = blocks(section)
    new = [name for name, after, _ in changes if not after]
    lines = sum(code.count("\n") for _, after, code in changes if after)
    assert (len(new), lines) == COSTS[section]


def test_the_additions_keep_the_rules_of_the_house(copy: Path) -> None:
    """Lint and import contracts hold."""
    linted = run(copy, "-m", "ruff", "check", "--no-cache", "src", "api", "flows")
    assert linted.returncode == 0, linted.stdout
    contracts = run(copy, "-c", "from importlinter.cli import lint_imports_command as c; c()")
    assert contracts.returncode == 0, contracts.stdout


def test_an_added_driver_reaches_the_models(copy: Path) -> None:
    """The builder makes the column, and boosting reads it."""
    script = (
        "from salescast.features.point_in_time import build, past\n"
        "from salescast.models import make; from tests.builders import days, make_tables\n"
        "tables = make_tables(200); origins = days(200)[-60:-5:4]\n"
        "rows = build(tables, origins)\n"
        "model = make('boosting', {'iterations': 2}).fit(rows, past(tables, days(200)[-1]))\n"
        "print('payday' in model.feature_names_in_, sorted(rows['payday'].unique()))"
    )
    done = run(copy, "-c", script)
    assert done.returncode == 0, done.stderr
    assert "True [np.float64(0.0), np.float64(1.0)]" in done.stdout


def test_an_added_kind_of_model_serves_and_orders(copy: Path, tmp_path: Path) -> None:
    """It is configured, released, read back, and makes forecasts and orders."""
    script = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from pathlib import Path; from salescast.settings import read_settings\n"
        "from salescast.stages import STAGES; from tests.releases import release\n"
        "from tests.workspaces import LAST, make_workspace\n"
        f"root = make_workspace(Path({str(tmp_path / 'shop')!r})); config = root / 'config.toml'\n"
        "text = config.read_text()\n"
        "config.write_text(text.replace('kind = \"integrated\"', 'kind = \"binned\"'))\n"
        "settings = read_settings(config); release(settings, settings.model.kind)\n"
        "STAGES['ingest'](settings, until=LAST.date())\n"
        "print(STAGES['forecast'](settings)['summary'], STAGES['order'](settings)['units'])"
    )
    done = run(copy, "-c", script)
    assert done.returncode == 0, done.stderr
    assert "4 series × 14 days" in done.stdout


def test_an_added_check_quarantines_a_row(copy: Path) -> None:
    """A shelf with 501 umbrellas is set apart, with the name of the check."""
    script = (
        "import pandas as pd; from tests.builders import make_tables, days\n"
        "from salescast import quality; from salescast.contract.schema import close_of\n"
        "tables = make_tables(60); tables['stock'].loc[0, 'on_hand'] = 501\n"
        "result = quality.check_delivery(tables, {}, close_of(days(60)[-1]))\n"
        "print(result.quarantined['stock']['reason'].tolist())"
    )
    done = run(copy, "-c", script)
    assert done.returncode == 0, done.stderr
    assert "stock_shelf_not_overfull" in done.stdout


def test_an_added_endpoint_passes_its_test(copy: Path) -> None:
    """The test on the page is the test of the endpoint."""
    done = run(copy, "-m", "pytest", "-q", "tests/unit/api/test_store_routes.py")
    assert done.returncode == 0, done.stdout


def test_an_added_stage_runs_from_the_command_line(copy: Path, tmp_path: Path) -> None:
    """`salescast stage export` writes its file and prints its summary."""
    (tmp_path / "build").mkdir()
    shutil.copy(copy / "config.toml", tmp_path)
    make_tables(10)["sales"].to_parquet(tmp_path / "build/forecasts.parquet")
    config = {"SALESCAST_CONFIG": str(tmp_path / "config.toml")}
    done = run(copy, "-c", "from salescast.cli import main; main()", "stage", "export", **config)
    assert done.returncode == 0, done.stderr
    assert "40 rows in build/forecasts.csv" in done.stdout
    assert len(pd.read_csv(tmp_path / "build/forecasts.csv")) == 40
