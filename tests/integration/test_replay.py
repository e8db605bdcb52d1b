"""A replay does what every day does, survives a kill, and comes to the same twice."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from prefect import flow
from prefect.testing.utilities import prefect_test_harness

from flows.engine import inline
from flows.on_prefect import on_prefect
from godatamarkets.replay.days import a_day, replay
from godatamarkets.replay.results import account
from godatamarkets.replay.world import World, make_plan, open_world
from salescast.data import store
from salescast.ledger.ledger import Ledger
from salescast.settings import read_settings
from tests.workspaces import CONFIG, contents

DAYS = 15
SHORT = {  # a short examination of a model trained on few origins: the same steps, sooner done
    "SALESCAST_BACKTEST__CUTOFFS": "6",
    "SALESCAST_BACKTEST__REFIT_EVERY": "6",
    "SALESCAST_FEATURES__ORIGIN_EVERY_DAYS": "30",
    "SALESCAST_GATE__MIN_ORIGINS": "3",
}
START = pd.Timestamp("2023-12-03")


def make_world(root: Path) -> World:
    """Return a world whose second week begins with a truncated delivery."""
    if not (root / "config.toml").exists():
        root.mkdir(parents=True)
        shutil.copyfile(CONFIG, root / "config.toml")
    settings = read_settings(root / "config.toml")
    what = ["truncated_file@2023-12-11"]
    return open_world(settings, make_plan(settings, ("r", "small"), START.date(), DAYS, what))


def run(world: World, copy_to: Path | None = None) -> World:
    """Replay the days that are left; after the tenth, `copy_to` is what a kill would leave."""

    def tell(so_far: World) -> None:
        if copy_to and len(so_far.journal) == 10:
            shutil.copytree(so_far.settings.root.parents[2], copy_to)

    with store.rehearsing():
        replay(inline, world, tell)
    return world


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    """Return a world replayed in one go, its accounts, and what a kill would have left."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SHORT.items():
            patch.setenv(name, value)
        folder = tmp_path_factory.mktemp("replay")
        world = run(make_world(folder / "whole"), folder / "killed")
        yield world, account(world), folder / "killed"


def test_every_day_is_written_down(replayed):
    """The first day trains, every day forecasts, Mondays order."""
    world, *_ = replayed
    assert len(world.journal) == DAYS + 1
    assert world.journal[0]["trained"]["why"] == "first"
    mondays = [e for e in world.journal if pd.Timestamp(e["day"]).weekday() == 0]
    assert all(entry["orders"] for entry in mondays)
    assert not any(entry["orders"] for entry in world.journal if entry not in mondays)


def test_a_refused_delivery_pages_at_once_and_is_mended_by_a_person(replayed):
    """The day it came it is a page; two days later the export is mended and takes all in."""
    world, told, _ = replayed
    (found,) = told["detections"]
    assert (found["alarm"], found["days"]) == ("delivery_refused", 0)
    assert [e["delivery"] for e in world.journal].count("rejected") == 2
    assert world.journal[-1]["origin"] == world.journal[-1]["day"]


def test_our_orders_fill_the_simulated_shelves(replayed):
    """What the accounts say we sold is what the retailer's tills say."""
    world, told, _ = replayed
    sales = store.read(world.settings.data, "sales")
    first = pd.Timestamp(told["reviews"][0])
    ours = sales[sales["date"] > first]["units"].sum()
    wanted = np.nansum(world.shop.wanted(first + pd.Timedelta(days=1), START + DAYS * DAY))
    assert ours / wanted == pytest.approx(told["costs"]["ours"]["fill_rate"])


DAY = pd.Timedelta(days=1)


def test_the_report_leads_with_the_money_and_loads_nothing(replayed):
    """One file, no scripts, no addresses."""
    _, told, _ = replayed
    text = Path(told["report"]).read_text("utf-8")
    assert text.index("against the status quo") < text.index("Timeline")
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_a_killed_replay_goes_on_and_ends_with_the_identical_report(replayed):
    """Killed after the tenth day: the orders are on the shelves again, and all comes out alike."""
    whole, _, left = replayed
    world = make_world(left)
    assert len(world.journal) == 10
    account(run(world))
    for name in ("replay.json", "replay.html"):
        again = (world.settings.build / name).read_bytes()
        assert again == (whole.settings.build / name).read_bytes()


def test_the_checkout_is_left_alone(replayed):
    """All that is written lies below build/replay."""
    world, *_ = replayed
    root = world.settings.root.parents[2]
    assert {name.partition("/")[0] for name in contents(root)} == {"config.toml", "build"}
    assert [path.name for path in (root / "build").iterdir()] == ["replay"]


def test_the_ledger_holds_a_forecast_of_every_day(replayed):
    """Also of the days whose delivery was refused: from the last day known."""
    world, *_ = replayed
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


def test_under_prefect_the_same_days_come_to_the_same(replayed, tmp_path):
    """Data, training, gate, forecasts and orders: the engine is nothing but a way to call them."""
    whole, *_ = replayed
    other = make_world(tmp_path / "prefect")

    @flow(name="two days")
    def two_days() -> list[dict]:
        for _ in range(2):
            assert other.next_day
            other.record(a_day(on_prefect, other, other.next_day))
        return other.journal

    with prefect_test_harness(server_startup_timeout=180), store.rehearsing():
        two_days()

    assert other.journal == whole.journal[:2]
