"""A replay does what every day does, survives a kill, and comes to the same twice."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.engine import inline
from flows.replay import replay
from salescast import store
from salescast.ledger import Ledger
from salescast.settings import read_settings
from salescast.stages.accounts import account
from salescast.stages.replay import World, make_plan, open_world
from tests.workspaces import CONFIG, contents

DAYS = 15
SHORT = {  # a short examination of a model trained on few origins: the same steps, sooner done
    "SALESCAST_BACKTEST__CUTOFFS": "4",
    "SALESCAST_BACKTEST__REFIT_EVERY": "4",
    "SALESCAST_FEATURES__ORIGIN_EVERY_DAYS": "40",
    "SALESCAST_FEATURES__HISTORY_DAYS": "400",
    "SALESCAST_GATE__MIN_ORIGINS": "2",
}
START = pd.Timestamp("2022-12-04")


class Killed(Exception):  # noqa: N818 - what a process is, not what went wrong
    """Stands for SIGKILL between two days."""


def make_world(root: Path) -> World:
    """Return a world whose second week begins with a truncated delivery."""
    if not (root / "config.toml").exists():
        root.mkdir(parents=True)
        shutil.copyfile(CONFIG, root / "config.toml")
    settings = read_settings(root / "config.toml")
    what = ["truncated_file@2022-12-12"]
    return open_world(settings, make_plan(settings, ("r", "small"), START.date(), DAYS, what))


def run(world: World, kill_after: int = 10**9) -> World:
    """Replay the world's days, or as many as are allowed."""

    def tell(so_far: World) -> None:
        if len(so_far.journal) == kill_after:
            raise Killed

    with store.rehearsing():
        replay(inline, world, tell)
    return world


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    """Return a world replayed in one go, and its accounts."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SHORT.items():
            patch.setenv(name, value)
        world = run(make_world(tmp_path_factory.mktemp("replay") / "whole"))
        yield world, account(world)


def test_every_day_is_written_down(replayed):
    """The first day trains, every day forecasts, Mondays order."""
    world, _ = replayed
    assert len(world.journal) == DAYS + 1
    assert world.journal[0]["trained"]["why"] == "first"
    mondays = [e for e in world.journal if pd.Timestamp(e["day"]).weekday() == 0]
    assert all(entry["orders"] for entry in mondays)
    assert not any(entry["orders"] for entry in world.journal if entry not in mondays)


def test_a_refused_delivery_pages_at_once_and_is_mended_by_a_person(replayed):
    """The day it came it is a page; two days later the export is mended and takes all in."""
    world, told = replayed
    (found,) = told["detections"]
    assert (found["alarm"], found["days"]) == ("delivery_refused", 0)
    assert [e["delivery"] for e in world.journal].count("rejected") == 2
    assert world.journal[-1]["origin"] == world.journal[-1]["day"]


def test_our_orders_fill_the_simulated_shelves(replayed):
    """What the accounts say we sold is what the retailer's tills say."""
    world, told = replayed
    sales = store.read(world.settings.data, "sales")
    first = pd.Timestamp(told["reviews"][0])
    ours = sales[sales["date"] > first]["units"].sum()
    wanted = np.nansum(world.shop.wanted(first + pd.Timedelta(days=1), START + DAYS * DAY))
    assert ours / wanted == pytest.approx(told["costs"]["ours"]["fill_rate"])


DAY = pd.Timedelta(days=1)


def test_the_report_leads_with_the_money_and_loads_nothing(replayed):
    """One file, no scripts, no addresses."""
    _, told = replayed
    text = Path(told["report"]).read_text("utf-8")
    assert text.index("against the status quo") < text.index("Timeline")
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_a_killed_replay_goes_on_and_ends_with_the_identical_report(replayed, tmp_path):
    """Also where the kill came after the page and before the mending."""
    whole, _ = replayed
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SHORT.items():
            patch.setenv(name, value)
        with pytest.raises(Killed):
            run(make_world(tmp_path / "cut"), kill_after=10)
        world = run(make_world(tmp_path / "cut"))
        account(world)
    for name in ("replay.json", "replay.html"):
        assert (world.settings.build / name).read_bytes() == (
            whole.settings.build / name
        ).read_bytes()


def test_the_checkout_is_left_alone(replayed):
    """All that is written lies below build/replay."""
    world, _ = replayed
    root = world.settings.root.parents[2]
    assert {name.partition("/")[0] for name in contents(root)} == {"config.toml", "build"}
    assert [path.name for path in (root / "build").iterdir()] == ["replay"]


def test_the_ledger_holds_a_forecast_of_every_day(replayed):
    """Also of the days whose delivery was refused: from the last day known."""
    world, _ = replayed
    with Ledger(world.settings.ledger_url) as ledger:
        origins = ledger.forecasts()["origin"].nunique()
    assert origins == DAYS + 1 - 2


def test_another_plan_under_the_same_name_begins_anew(tmp_path):
    """What was replayed for one plan is not taken for another's."""
    world = make_world(tmp_path / "a")
    (world.settings.build / "days").mkdir(parents=True)
    told = world.settings.root / "plan.json"
    plan = json.loads(told.read_text("utf-8"))
    told.write_text(json.dumps(plan | {"days": 3}), "utf-8")
    assert not (make_world(tmp_path / "a").settings.build / "days").exists()
