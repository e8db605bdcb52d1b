"""The status says what a workspace holds and names the first step that is missing."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from salescast.cli import app
from salescast.settings import read_settings
from salescast.stages.status import next_step, status
from tests.workspaces import make_workspace, run_here

TODAY = date(2024, 6, 2)


def state(**changes: Any) -> dict[str, Any]:
    """Return the state of a workspace where nothing is left to do."""
    return {
        "data_until": "2024-06-01",
        "decision": {"verdict": "promote", "version": 1},
        "champion": "1",
        "training": None,
        "origin": "2024-06-01",
        "monitored": "2024-06-01",
        "alarms": [],
    } | changes


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({}, "nothing"),
        ({"data_until": None, "decision": {}, "champion": None}, "salescast ingest"),
        ({"decision": {}, "champion": None}, "salescast train"),
        ({"champion": None}, "salescast promote"),
        ({"decision": {"verdict": "promote", "version": 2}}, "salescast promote"),
        ({"decision": {"verdict": "refuse", "version": 1}, "champion": None}, "read why"),
        ({"decision": {"verdict": "refuse", "version": 2}}, "nothing"),
        ({"data_until": "2024-05-20"}, "salescast ingest"),
        ({"training": {"why": "demand_shift"}}, "salescast train"),
        ({"origin": "2024-05-31"}, "salescast forecast"),
        ({"monitored": None}, "salescast monitor"),
        ({"alarms": [{"name": "data_stale"}]}, "read the runbook"),
    ],
)
def test_the_next_step_is_the_first_that_is_missing(changes: dict[str, Any], step: str) -> None:
    """From an empty folder to a champion that forecasts and is watched."""
    assert next_step(state(**changes), TODAY).startswith(step)


def test_an_empty_workspace_has_a_status(tmp_path: Path) -> None:
    """Nothing is there yet, and nothing is written."""
    settings = read_settings(make_workspace(tmp_path / "shop", {}) / "config.toml")
    found = status(settings)
    assert (found["champion"], found["data_until"]) == (None, None)
    assert found["summary"].splitlines()[-1] == "next       salescast ingest"
    assert not settings.build.exists()


@pytest.mark.parametrize(
    "words", [("forecast",), ("monitor",), ("promote",), ("stage", "gate"), ("stage", "order")]
)
def test_an_error_names_the_first_step_that_is_missing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    """In an empty workspace every hint is to ingest; none leads to another hint."""
    root = make_workspace(tmp_path / "shop", {})
    assert "run `salescast ingest` first" in run_here(root, monkeypatch, capfd, *words).error


def test_the_command_prints_the_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`salescast status` ends with what to do."""
    printed = run_here(make_workspace(tmp_path / "shop", {}), monkeypatch, capfd, "status").out
    assert printed.endswith("next       salescast ingest\n")


def test_every_option_has_a_help_text() -> None:
    """Whoever types --help learns what each option and argument is for."""
    import typer

    command: Any = typer.main.get_command(app)
    commands = [*command.commands.values(), *command.commands["keys"].commands.values()]
    options = [(one.name, p.name) for one in commands for p in one.params if not p.help]
    assert options == []
