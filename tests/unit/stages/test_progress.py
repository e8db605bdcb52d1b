"""Long work says what it does: once a minute where stderr is no terminal."""

import logging
import time

import pytest

from salescast.stages import progress


def test_a_line_a_minute_names_the_stage_and_its_latest_step(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Here a minute is a tenth of a second."""
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.1)
    caplog.set_level(logging.INFO, logger="salescast.progress")
    monkeypatch.setattr(logging.getLogger("salescast"), "propagate", True)
    with progress.progress("backtest"):
        progress.steps.debug("fits at cutoff %d of %d", 14, 26)
        time.sleep(0.35)
    lines = [record.getMessage() for record in caplog.records]
    assert lines
    assert lines[0].startswith("backtest ")
    assert lines[0].endswith("fits at cutoff 14 of 26 …")


def test_short_work_says_nothing_in_between(caplog: pytest.LogCaptureFixture) -> None:
    """Its result is on the line that follows."""
    with progress.progress("version"):
        pass
    assert caplog.records == []


def test_steps_of_a_library_call_are_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """Without somebody who shows progress the messages go nowhere."""
    progress.steps.debug("fits at cutoff 1 of 2")
    assert capfd.readouterr() == ("", "")
