"""Every command does what `salescast --help` says, and says it where it belongs."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pandas as pd
import pytest

from salescast.cli import app
from salescast.contract.schema import as_of
from salescast.data import store, versions
from salescast.ledger.ledger import Ledger
from salescast.settings import read_settings
from salescast.stages import dossier
from salescast.stages.configured import open_registry
from tests.builders import make_tables
from tests.workspaces import (
    DAYS,
    FORTNIGHT,
    LAST,
    CommandResult,
    approve,
    contents,
    make_workspace,
    record_decision,
    run_apart,
    run_here,
)

SECTIONS = [
    "Intended use and limits",
    "Data sources",
    "Data schemas",
    "Target",
    "Pipeline",
    "Experiments",
    "Examination",
    "Where it is weak",
    "Gate",
    "Training environment",
    "Lineage",
]


def _refused(text: str) -> float:
    raise AssertionError(f"{text} is no JSON")


def parsed(out: str) -> dict:
    """Return the JSON that is alone on stdout; NaN and Infinity are none."""
    return json.loads(out, parse_constant=_refused)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CommandResult]:
    """Workspace that ends a fortnight before the newest day in its inbox; what `train` said."""
    root = make_workspace(tmp_path_factory.mktemp("cli") / "shop", make_tables(DAYS))
    store.append(root / "data", as_of(make_tables(DAYS), LAST - FORTNIGHT))
    return root, run_apart(root, "train", "--json")


@pytest.fixture(scope="module")
def trained(training: tuple[Path, CommandResult]) -> Path:
    """Return the workspace with a judged challenger."""
    return training[0]


def test_each_section_of_the_dossier_says_something(trained: Path) -> None:
    """What is logged with the version leaves no heading without words, numbers or code."""
    settings = read_settings(trained / "config.toml")
    registry = open_registry(settings)
    version = registry.version("challenger") or registry.version("champion")
    assert version is not None
    parts = dossier.dossier(settings, registry, version, store.read_all(settings.data))
    logged = registry.artifact(version, "dossier/dossier.md").read_text("utf-8")

    assert [part.title for part in parts if part.empty] == []
    assert re.findall(r"^## (.*)$", logged, re.MULTILINE) == [part.title for part in parts]
    assert [part.title for part in parts] == SECTIONS
    assert registry.artifact(version, "dossier/data_card.html").exists()


def test_judging_again_adds_no_second_decision(trained: Path) -> None:
    """The ledger keeps a verdict once, however often the same evidence is judged."""
    from salescast.stages import run_stage

    settings = read_settings(trained / "config.toml")
    path = settings.build / "decision.json"
    kept, counts = path.read_text("utf-8"), []
    for _ in range(2):
        run_stage("gate", settings)
        with Ledger(settings.ledger_url) as ledger:
            counts.append(len(ledger.decisions()))
    path.write_text(kept, "utf-8")  # for the tests that follow
    assert counts[0] == counts[1]


@pytest.fixture(scope="module")
def released(trained: Path) -> Path:
    """Return the workspace once its challenger is champion and has forecast."""
    from salescast.stages import run_stage

    settings = read_settings(trained / "config.toml")
    approve(trained)
    run_stage("promote", settings)
    run_stage("forecast", settings)
    return trained


def test_help_lists_the_commands_that_are_tested():
    """A command that is added gets a test."""
    names = {command.name or command.callback.__name__ for command in app.registered_commands}
    folder = Path(__file__).parent.parent
    tests = "".join(path.read_text("utf-8") for path in folder.rglob("test_*.py"))
    assert {name for name in names if f'"{name}"' not in tests} == set()


def test_without_a_command_the_help_is_shown(tmp_path, monkeypatch, capfd):
    """Whoever types `salescast` sees what there is."""
    done = run_here(tmp_path, monkeypatch, capfd)

    assert "ingest" in done.out + done.err
    assert done.code in (0, 2)


@pytest.mark.parametrize("words", [("walk",), ("ingest", "--until", "2023-13-01"), ("stage",)])
def test_wrong_words_are_a_usage_error(tmp_path, monkeypatch, capfd, words):
    """Unknown command, impossible date, missing name: exit code 2 and no traceback."""
    done = run_here(make_workspace(tmp_path / "w", {}), monkeypatch, capfd, *words)

    assert done.code == 2
    assert "Traceback" not in done.err
    assert done.out == ""


def test_ingest_stores_the_days_up_to_the_one_named(tmp_path, monkeypatch, capfd):
    """`ingest --until --json`: those rows, a version, and JSON alone on stdout."""
    root = make_workspace(tmp_path / "shop", make_tables(60))
    until = pd.Timestamp("2023-02-20")

    done = run_here(root, monkeypatch, capfd, "ingest", "--until", "2023-02-20", "--json")

    result = parsed(done.out)
    sales = store.read(root / "data", "sales")
    assert done.code == 0
    assert sales["date"].max() == until
    assert result["rows"]["sales"] == len(sales)
    assert result["data_version"] == versions.data_version(root / "data")


def test_ingest_twice_finds_nothing_new(tmp_path, monkeypatch, capfd):
    """The second run says so and changes nothing."""
    root = make_workspace(tmp_path / "shop", make_tables(20))
    store.append(root / "data", make_tables(20))
    before = contents(root / "data")

    done = run_here(root, monkeypatch, capfd, "ingest", "--until", "2023-01-21")

    assert done.code == 0
    assert "nothing new up to 2023-01-21" in done.err
    assert contents(root / "data") == before


def test_ingest_of_days_before_the_stored_ones_finds_nothing_new(tmp_path, monkeypatch, capfd):
    """A day long before the first one stored is no error, and changes nothing."""
    root = make_workspace(tmp_path / "shop", make_tables(20))
    store.append(root / "data", make_tables(20))
    before = contents(root / "data")

    done = run_here(root, monkeypatch, capfd, "ingest", "--until", "1999-01-01")

    assert done.code == 0
    assert "nothing new up to 1999-01-01" in done.err
    assert contents(root / "data") == before


def git(root: Path, *words: str) -> str:
    """Run git and return what it prints."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(root), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_ingest_commit_commits_the_pin_and_nothing_else(tmp_path, monkeypatch, capfd):
    """In a git and DVC repository `--commit` moves data.dvc; other changes stay as they were."""
    root = make_workspace(tmp_path / "shop", make_tables(20))
    git(root, "init", "--quiet")
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (root / ".gitignore").write_text("/build/\n/data/\n/.dvc/tmp\n/.dvc/cache\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Begin")
    (root / "notes.txt").write_text("mine")
    git(root, "add", "notes.txt")
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "t")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "t@example.org")

    done = run_here(root, monkeypatch, capfd, "ingest", "--until", "2023-01-21", "--commit")

    assert done.code == 0, done.err
    assert git(root, "show", "--name-only", "--format=%s").split("\n\n")[1].split() == ["data.dvc"]
    assert "A  notes.txt" in git(root, "status", "--porcelain")
    assert versions.pinned_version(root) == versions.data_version(root / "data")
    assert git(root, "show", "--format=%s").startswith("Ingest: ")


def test_commit_outside_a_repository_says_what_is_missing(tmp_path, monkeypatch, capfd):
    """Without data.dvc there is nothing to commit; the data are stored all the same."""
    root = make_workspace(tmp_path / "shop", make_tables(20))
    store.append(root / "data", make_tables(20))

    done = run_here(root, monkeypatch, capfd, "ingest", "--until", "2023-01-21", "--commit")

    assert done.code == 2
    assert "no data.dvc to commit" in done.error


def test_stage_runs_one_stage_and_prints_its_sentence(trained, monkeypatch, capfd):
    """`stage version` prints what is pinned."""
    done = run_here(trained, monkeypatch, capfd, "stage", "version")

    assert done.code == 0
    assert done.out == f"data version {versions.data_version(trained / 'data')}\n"


def test_an_unknown_stage_is_an_error_naming_all(trained, monkeypatch, capfd):
    """The line lists the stages there are."""
    done = run_here(trained, monkeypatch, capfd, "stage", "bake")

    assert done.code == 2
    assert re.search("no stage 'bake'; there are ingest, version, validate", done.error)


def test_a_refused_challenger_is_exit_code_3_with_reasons(trained, monkeypatch, capfd, tmp_path):
    """`promote` of a refused model: the reasons on stderr, the champion untouched."""
    decision = json.loads((trained / "build" / "decision.json").read_text())
    check = {"name": "bias", "passed": False, "reason": "bias is +40%"}
    (tmp_path / "build").mkdir()
    (tmp_path / "config.toml").write_text((trained / "config.toml").read_text())
    settings = read_settings(tmp_path / "config.toml")
    record_decision(settings, decision["version"], "refuse", [check])

    done = run_here(tmp_path, monkeypatch, capfd, "promote", "--json")

    assert done.code == 3
    assert "is refused: bias is +40%" in done.error
    assert done.out == ""


def test_promote_twice_promotes_once(released, monkeypatch, capfd):
    """The champion is the champion already; it is said again and nothing changes."""
    done = run_here(released, monkeypatch, capfd, "promote", "--json")

    assert done.code == 0
    assert parsed(done.out)["version"] == 1


def test_rollback_without_a_previous_champion_says_so(released, monkeypatch, capfd):
    """One version was ever promoted."""
    done = run_here(released, monkeypatch, capfd, "rollback")

    assert done.code == 1
    assert "no previous champion" in done.error


def test_canary_judges_what_is_on_trial(released, monkeypatch, capfd):
    """After a first promotion nothing is: there was no champion before."""
    done = run_here(released, monkeypatch, capfd, "canary")
    assert (done.code, done.out.strip()) == (0, "nothing is on trial")


def test_canary_needs_a_version_that_was_judged(released, monkeypatch, capfd):
    """Version 9 is none, and the error says what to run."""
    done = run_here(released, monkeypatch, capfd, "canary", "9", "--share", "0.1")
    assert done.code == 3
    assert "no decision on version 9; run `salescast stage gate`" in done.error


def test_forecast_again_says_the_same_and_records_nothing_new(released, monkeypatch, capfd):
    """`forecast --json`: same data, same model, same receipts."""
    settings = read_settings(released / "config.toml")

    done = run_here(released, monkeypatch, capfd, "forecast", "--json")

    result = parsed(done.out)
    with Ledger(settings.ledger_url) as ledger:
        recorded = len(ledger.forecasts())
    assert done.code == 0
    assert (result["series"], recorded) == (4, 4 * 14)
    assert result["data_version"] == versions.data_version(released / "data")


def test_forecast_proposes_an_order_for_every_series(released, monkeypatch, capfd):
    """Whole packs, beside the old rule's, under the receipt of the forecast they rest on."""
    done = run_here(released, monkeypatch, capfd, "forecast", "--json")

    result = parsed(done.out)["orders"]
    with Ledger(read_settings(released / "config.toml").ledger_url) as ledger:
        orders = ledger.orders(origin=pd.Timestamp(result["origin"]))
        assert not ledger.receipt(orders["receipt_id"].iloc[0]).empty
    assert len(orders) == 4
    assert orders["order"].sum() == result["units"]
    assert (orders["expected_cost"] <= orders["planner_cost"] + 1e-9).all()


def test_receipt_prints_the_forecast_it_stands_for(released, monkeypatch, capfd):
    """`receipt --json`: fourteen days of one series."""
    rows = pd.read_parquet(released / "build" / "forecasts.parquet")

    done = run_here(released, monkeypatch, capfd, "receipt", rows["receipt_id"][0], "--json")

    days = parsed(done.out)["forecast"]
    assert done.code == 0
    assert [day["lead_time"] for day in days] == list(range(1, 15))


def test_an_unknown_receipt_is_an_error_naming_it(released, monkeypatch, capfd):
    """Nothing is made up."""
    done = run_here(released, monkeypatch, capfd, "receipt", "none")

    assert done.code == 1
    assert "no forecast has the receipt none" in done.error


def test_monitor_scores_what_has_come_true(released, monkeypatch, capfd):
    """`monitor --json` after a fortnight: every forecast matured, a report on disk."""
    store.append(released / "data", make_tables(DAYS))

    done = run_here(released, monkeypatch, capfd, "monitor", "--json")

    result = parsed(done.out)
    assert done.code == 0, done.err
    assert result["live"]["matured"] == 1.0
    assert Path(result["report"]).read_text().startswith("<!")


@pytest.mark.parametrize("more", [(), ("--workers", "2")], ids=["one process", "two"])
def test_serve_answers_on_the_port_it_names(released, more):
    """`serve --port 0` says on stderr where it listens, answers there, and ends when told to."""
    code = "from salescast.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--port", "0", *more],
        env=os.environ | {"SALESCAST_CONFIG": str(released / "config.toml")},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr
        line = process.stderr.readline()
        url = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert url, line
        with urllib.request.urlopen(f"{url[0]}/healthz/live", timeout=60) as answer:
            assert answer.status == 200
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode in (0, -15)


def test_run_without_data_is_one_line_on_a_process_of_its_own(tmp_path):
    """`run` with an empty inbox, as a person types it: exit code 1, one line, stdout empty."""
    root = make_workspace(tmp_path / "shop", {})

    done = run_apart(root, "run", "--workspace", ".", "--engine", "inline", "--json")

    assert done.code == 1
    assert "no such file; put" in done.error
    assert done.out == ""


def test_train_ends_as_the_gate_decides(training):
    """JSON alone on stdout, the steps on stderr; exit code 0 where promoted, 3 where refused."""
    done = training[1]

    decision = parsed(done.out)

    assert decision["version"] == 1
    assert done.code == (0 if decision["verdict"] == "promote" else 3), done.err
    assert "Traceback" not in done.err
    assert re.search(r"^backtest +\d", done.err, re.MULTILINE)


def test_keys_are_created_listed_and_revoked(tmp_path, monkeypatch, capfd):
    """The key is printed once; the list has its id, and says when it has ended."""
    root = make_workspace(tmp_path / "shop", {})

    words = ["create", "planner", "--scope", "write", "--scope", "read", "--json"]
    made = parsed(run_here(root, monkeypatch, capfd, "keys", *words).out)
    before = run_here(root, monkeypatch, capfd, "keys", "list")
    run_here(root, monkeypatch, capfd, "keys", "revoke", made["key_id"])
    after = parsed(run_here(root, monkeypatch, capfd, "keys", "list", "--json").out)["keys"]

    assert f"{made['key_id']}  planner  read+write" in before.out
    assert made["key"] not in before.out
    assert [key["live"] for key in after] == [False]


def test_receipt_replay_says_from_what_it_was_rebuilt(released, monkeypatch, capfd):
    """`receipt --replay`: the release and the data version."""
    rows = pd.read_parquet(released / "build" / "forecasts.parquet")

    done = run_here(released, monkeypatch, capfd, "receipt", rows["receipt_id"][0], "--replay")

    assert done.code == 0, done.err
    assert "rebuilt bit for bit by version 1" in done.out
