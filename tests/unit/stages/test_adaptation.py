"""A training that a shift of demand asks for learns and is examined on the days since."""

from datetime import timedelta
from pathlib import Path

import pytest

from salescast.data import store
from salescast.data.files import write_json
from salescast.settings import Settings, read_settings
from salescast.stages.adaptation import adapt
from tests.builders import make_tables
from tests.workspaces import DAYS, LAST, make_workspace


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    """Return a workspace without a champion."""
    root = make_workspace(tmp_path)
    store.append(root / "data", make_tables(DAYS))
    settings = read_settings(root / "config.toml")
    plan = settings.backtest.model_copy(update={"cutoffs": 26})
    gate = settings.gate.model_copy(update={"min_origins": 8})
    return settings.model_copy(update={"backtest": plan, "gate": gate})


def ago(days: int):
    """Return the day so long before the last one known."""
    return (LAST - timedelta(days=days)).date()


def test_without_a_shift_nothing_changes(shop):
    """Nobody asked, and the champion was told of none: there is no champion."""
    assert adapt(shop) == shop


@pytest.mark.parametrize(
    ("days", "cutoffs", "every"), [(28, 15, 1), (60, 26, 1), (63, 8, 7), (120, 16, 7)]
)
def test_the_examination_lies_behind_the_shift(shop, days, cutoffs, every):
    """Weekly where that is enough to judge by, daily before."""
    adapted = adapt(shop, ago(days))
    assert adapted.model.since == ago(days)
    assert (adapted.backtest.cutoffs, adapted.backtest.every_days) == (cutoffs, every)


def test_what_the_monitor_asked_for_is_taken_up(shop):
    """Whoever trains next, by hand or on Prefect, learns what has changed since."""
    asked = {"training": {"why": "demand_shift", "since": f"{ago(30)}"}}
    write_json(shop.build / "monitoring.json", asked)
    assert adapt(shop).model.since == ago(30)


def test_what_a_person_knows_comes_first(shop):
    """`model.since` in the configuration is not overruled by an alarm."""
    write_json(shop.build / "monitoring.json", {"training": {"why": "x", "since": f"{ago(30)}"}})
    known = shop.model_copy(update={"model": shop.model.model_copy(update={"since": ago(50)})})
    assert adapt(known).model.since == ago(50)
