"""A small workspace on files of one's own, and the command line run in it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest

from salescast.cli import main
from salescast.contract.schema import as_of
from salescast.data.files import write_json
from salescast.ledger.ledger import Ledger
from salescast.settings import Settings, read_settings
from tests.builders import FIRST, make_tables

CONFIG = Path(__file__).parent.parent / "config.toml"
DAYS = 150
FORTNIGHT = pd.Timedelta(days=14)
LAST = FIRST + pd.Timedelta(days=DAYS - 1)
SMALL = {"cutoffs": "2", "min_origins": "1", "kind": '"files"'}
"""Two cutoffs instead of 26: a life cycle of seconds."""


def make_workspace(root: Path, tables: Mapping[str, pd.DataFrame] | None = None) -> Path:
    """Write config.toml and the tables as CSV into `root` and return it."""
    text = CONFIG.read_text("utf-8")
    for key, value in SMALL.items():
        text = re.sub(rf"^{key} = [^ \n]+", f"{key} = {value}", text, count=1, flags=re.MULTILINE)
    (root / "inbox").mkdir(parents=True)
    (root / "config.toml").write_text(text, "utf-8")
    for table, rows in (make_tables(DAYS) if tables is None else tables).items():
        write_table(root, table, rows)
    return root


def write_table(root: Path, table: str, rows: pd.DataFrame) -> Path:
    """Write one table as CSV into the inbox."""
    rows.to_csv(root / "inbox" / f"{table}.csv", index=False)
    return root / "inbox" / f"{table}.csv"


def known_at(day: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """Return the tables as they were known at the close of `day`."""
    return as_of(make_tables(DAYS), day)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below `folder` by its relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def approve(root: Path) -> None:
    """Add a decision to promote; whether so small a model is worth it does not matter."""
    decision = json.loads((root / "build" / "decision.json").read_text("utf-8"))
    settings = read_settings(root / "config.toml")
    record_decision(settings, decision["version"], "promote", decision["checks"])


def record_decision(
    settings: Settings,
    version: int,
    verdict: str = "promote",
    checks: Sequence[Mapping[str, Any]] = (),
    champion: int | None = None,
) -> None:
    """Add a decision of the gate to the ledger and to build/decision.json, as the gate does.

    `champion`: the version it was compared with; default: itself, which conflicts with no other.
    """
    champion = version if champion is None else champion
    with Ledger(settings.ledger_url) as ledger:
        number = ledger.record_decision(
            kind="gate",
            model_version=str(version),
            champion_version=str(champion),
            verdict=verdict,
            checks=list(checks),
            origin=LAST.to_pydatetime(),
        )
    decision = {"verdict": verdict, "checks": list(checks), "version": version}
    decision |= {"champion": champion, "decision_id": number}
    write_json(settings.build / "decision.json", decision)


class CommandResult(tuple[int, str, str]):
    """Exit code, stdout and stderr of a command."""

    code = property(lambda self: self[0])
    out = property(lambda self: self[1])
    err = property(lambda self: self[2])

    @property
    def error(self) -> str:
        """The one line that says what went wrong; fails where there is another kind of output."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err + self.out
        return lines[0]


def run_here(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *words: str
) -> CommandResult:
    """Run the command line in this process, as if typed in `root`.

    The command may set its own environment, as `serve --host` does; it is undone after.
    """
    monkeypatch.setattr(sys, "argv", ["salescast", *words])
    capfd.readouterr()
    config = {"SALESCAST_CONFIG": str(root / "config.toml")}
    with patch.dict(os.environ, config), pytest.raises(SystemExit) as ended:
        main()
    return CommandResult((int(ended.value.code or 0), *capfd.readouterr()))


def run_apart(root: Path, *words: str, **options: Any) -> CommandResult:
    """Run the command line as a process of its own, as a person does."""
    environment = os.environ | {"SALESCAST_CONFIG": str(root / "config.toml")}
    code = "from salescast.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env=environment | options.pop("env", {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )
    return CommandResult((done.returncode, done.stdout, done.stderr))
