"""`salescast run` in a fresh clone: one life cycle under each engine, and what comes after it."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from salescast.data import versions
from salescast.ledger.ledger import Ledger
from salescast.registry import read_model
from salescast.settings import Settings, read_settings
from salescast.stages.configured import open_registry
from tests.clones import ROOT, clone_head, code_of, git_status, shrink
from tests.workspaces import run_here

SHORT = {  # what `tests.clones` makes small stays small;
    # a short examination of a model trained on few origins: the same steps, sooner done
    "SALESCAST_FEED__GODATAMARKETS__SIZE": "small",
    "SALESCAST_BACKTEST__CUTOFFS": "14",
    "SALESCAST_BACKTEST__REFIT_EVERY": "14",
    "SALESCAST_FEATURES__ORIGIN_EVERY_DAYS": "30",
    "SALESCAST_GATE__MAX_BIAS": "0.2",
}
TUTORIAL = re.findall(
    r"^\$ (.*)$", (ROOT / "docs/tutorial.md").read_text(encoding="utf-8"), re.MULTILINE
)
RECORDS = ("scorecard.json", "metrics.json", "quality.json", "decision.json", "monitoring.json")
TABLES = ("features.parquet", "predictions.parquet", "forecasts.parquet")


@dataclass(frozen=True)
class Life:
    """A workspace in which a life cycle ran, and how its command ended."""

    settings: Settings
    done: "subprocess.CompletedProcess[str]"

    def wrote(self, name: str) -> Any:
        """Return a JSON file of its `build/`."""
        return json.loads((self.settings.build / name).read_text("utf-8"))


def _salescast(clone: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run the clone's own command line in the clone."""
    environment = code_of(clone) | SHORT | variables
    environment["PREFECT_HOME"] = str(clone / "build" / "prefect")
    environment.pop("PREFECT_API_URL", None)
    program = "from salescast.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clone HEAD, pull its data and keep 18 series; git knows data by their pin alone."""
    target = clone_head(tmp_path_factory.mktemp("lifecycle") / "clone")
    versions.pull(target)
    shrink(target / "data")
    return target


def _life(clone: Path, *words: str) -> Life:
    done = _salescast(clone, "run", *words)
    assert done.returncode == 0, done.stderr[-3000:]
    folder = Path(words[words.index("--workspace") + 1]) if "--workspace" in words else "build/run"
    return Life(read_settings(clone / folder / "config.toml"), done)


@pytest.fixture(scope="module")
def inline(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Life:
    """Run it without Prefect, in a workspace outside of the clone, for a machine to read."""
    folder = tmp_path_factory.mktemp("inline") / "workspace"
    return _life(clone, "--engine", "inline", "--json", "--workspace", str(folder))


@pytest.fixture(scope="module")
def prefect(clone: Path, inline: Life) -> Life:
    """Run it as a newcomer does: under Prefect, on its own fresh home."""
    return _life(clone)


@pytest.fixture(scope="module")
def refused(clone: Path, inline: Life) -> Life:
    """Train again in the same workspace, with a gate that nothing can pass."""
    config = str(inline.settings.root / "config.toml")
    done = _salescast(clone, "train", SALESCAST_CONFIG=config, SALESCAST_GATE__MAX_BIAS="0.00001")
    return Life(inline.settings, done)


def test_the_machines_answer_stands_alone_on_stdout(inline: Life) -> None:
    """With --json stdout is one JSON document; progress is on stderr."""
    result = json.loads(inline.done.stdout)

    assert result["answer"]["forecasts"]
    assert "validate" in inline.done.stderr


def test_the_answer_over_http_is_the_forecast_in_the_ledger(clone: Path, inline: Life) -> None:
    """What came over the socket, what the batch wrote and what the receipt finds are one."""
    answered = json.loads(inline.done.stdout)["answer"]["forecasts"][0]
    rows = pd.read_parquet(inline.settings.build / "forecasts.parquet")
    rows = rows[rows["receipt_id"] == answered["receipt_id"]].sort_values("lead_time")
    config = str(inline.settings.root / "config.toml")
    found = _salescast(clone, "receipt", answered["receipt_id"], "--json", SALESCAST_CONFIG=config)

    over_http = [(d["mean"], d["quantiles"]["p50"], d["stock_target"]) for d in answered["days"]]
    kept = json.loads(found.stdout)["forecast"]

    assert over_http == list(
        rows[["mean", "p50", "stock_target"]].itertuples(index=False, name=None)
    )
    assert [day["mean"] for day in kept] == [mean for mean, *_ in over_http]


def test_both_engines_write_the_same(inline: Life, prefect: Life) -> None:
    """Prefect decides when a step runs, never what comes out of it: not one bit."""
    for name in RECORDS:
        assert prefect.wrote(name) == inline.wrote(name), name
    for name in TABLES:
        left, right = (pd.read_parquet(life.settings.build / name) for life in (inline, prefect))
        pd.testing.assert_frame_equal(_lasting(left), _lasting(right), check_exact=True, obj=name)


def _lasting(rows: pd.DataFrame) -> pd.DataFrame:
    # Arrays compare by identity inside a column of objects.
    return rows.assign(degraded=rows["degraded"].map(tuple)) if "degraded" in rows else rows


def test_both_engines_learn_the_same_model(inline: Life, prefect: Life) -> None:
    """The two files of the model are byte for byte the same, and readable."""
    files = [life.settings.build / "model.skops" for life in (inline, prefect)]

    assert files[0].read_bytes() == files[1].read_bytes()
    assert set(read_model(files[0])) == {"model", "contract", "dependence"}


def test_the_tutorial_does_what_it_says(
    prefect: Life, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """After `make run`, each command of the first quarter of an hour ends as the page says."""
    for name, value in (SHORT | {"SALESCAST_SERVING__PORT": "0"}).items():
        monkeypatch.setenv(name, value)
    receipt = prefect.wrote("answer.json")["forecasts"][0]["receipt_id"]
    for line in TUTORIAL[TUTORIAL.index("export SALESCAST_CONFIG=build/run/config.toml") + 1 :]:
        *variables, words = re.split(r"\s?salescast ", line)
        with pytest.MonkeyPatch.context() as only_here:
            for name, _, value in (part.partition("=") for part in "".join(variables).split()):
                only_here.setenv(name, value)
            typed = words.partition(" # ")[0].replace("RECEIPT", receipt).split()
            done = run_here(prefect.settings.root, only_here, capfd, *typed)
        assert done.code == int("".join(re.findall(r"exit code (\d)", line)) or 0), (line, done.err)


def test_the_run_leaves_the_checkout_clean(clone: Path, prefect: Life) -> None:
    """After the first command of the README git has nothing to report."""
    assert git_status(clone) == ""


def test_the_console_shows_our_lines_and_no_frameworks(prefect: Life) -> None:
    """Each line on stderr is one of ours: what was done, in how many seconds, with what result."""
    strange = [x for x in prefect.done.stderr.splitlines() if x and " s  " not in x]
    assert strange == ["prefect   starting …"]


def test_a_second_training_is_compared_with_the_champion(refused: Life) -> None:
    """The gate puts champion and challenger on the same origins."""
    checks = {check["name"]: check for check in refused.wrote("decision.json")["checks"]}
    assert "against the champion" in checks["beats_champion"]["evidence"]


def test_a_refusal_is_exit_code_3_with_its_reason(refused: Life) -> None:
    """Whoever automates the command line learns that nothing was promoted, and why."""
    assert refused.done.returncode == 3
    assert "refused" in refused.done.stderr.splitlines()[-1]
    assert "bias" in refused.done.stderr.splitlines()[-1]


def test_a_refusal_is_recorded_and_the_champion_stays(refused: Life) -> None:
    """The ledger holds the verdict; who served before serves on."""
    champion = open_registry(refused.settings).version("champion")
    with Ledger(refused.settings.ledger_url) as ledger:
        last = ledger.decisions().iloc[-1]

    assert champion is not None
    assert (champion.number, str(last["verdict"])) == (1, "refuse")
    assert (str(last["model_version"]), str(last["champion_version"])) == ("2", "1")
