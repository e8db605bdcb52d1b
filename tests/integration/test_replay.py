"""A replay runs the stages of every day, survives a kill, and gives the same result twice."""

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
from godatamarkets.replay.daily_run import run_day, run_days
from godatamarkets.replay.replay_state import Replay, make_plan, open_replay
from godatamarkets.replay.replay_summary import summarize
from salescast.data import store
from salescast.ledger.ledger import Ledger
from salescast.settings import read_settings
from tests.workspaces import CONFIG, contents

DAYS = 15
SHORT = {  # a short backtest of a model trained on few origins: the same steps in less time
    "SALESCAST_BACKTEST__CUTOFFS": "14",
    "SALESCAST_BACKTEST__REFIT_EVERY": "14",
    "SALESCAST_FEATURES__ORIGIN_EVERY_DAYS": "30",
    "SALESCAST_GATE__MAX_BIAS": "0.2",
}
START = pd.Timestamp("2023-12-03")


def make_replay(root: Path) -> Replay:
    """Return a replay whose second week begins with a truncated delivery."""
    if not (root / "config.toml").exists():
        root.mkdir(parents=True)
        shutil.copyfile(CONFIG, root / "config.toml")
    settings = read_settings(root / "config.toml")
    faults = ["truncated_file@2023-12-11"]
    return open_replay(settings, make_plan(settings, ("r", "small"), START.date(), DAYS, faults))


def run(replay: Replay, copy_to: Path | None = None) -> Replay:
    """Replay the days that are left; after the tenth, `copy_to` is what a kill would leave."""

    def copy(so_far: Replay) -> None:
        if copy_to and len(so_far.journal) == 10:
            shutil.copytree(so_far.settings.root.parents[2], copy_to)

    with store.rehearsing():
        run_days(inline, replay, copy)
    return replay


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    """Return a whole replay, its result, and the folder that a kill would have left."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SHORT.items():
            patch.setenv(name, value)
        folder = tmp_path_factory.mktemp("replay")
        whole = run(make_replay(folder / "whole"), folder / "killed")
        yield whole, summarize(whole), folder / "killed"


def test_every_day_is_written_down(replayed):
    """The first day trains, every day forecasts, Mondays order."""
    replay, *_ = replayed
    assert len(replay.journal) == DAYS + 1
    assert replay.journal[0]["trained"]["why"] == "first"
    mondays = [e for e in replay.journal if pd.Timestamp(e["day"]).weekday() == 0]
    assert all(entry["orders"] for entry in mondays)
    assert not any(entry["orders"] for entry in replay.journal if entry not in mondays)


def test_a_refused_delivery_pages_at_once_and_the_export_is_repaired(replayed):
    """It pages on its day; two days later the export is repaired and delivers everything."""
    replay, result, _ = replayed
    (fault,) = result["detections"]
    assert (fault["alarm"], fault["days"]) == ("delivery_refused", 0)
    assert [e["delivery"] for e in replay.journal].count("rejected") == 2
    assert replay.journal[-1]["origin"] == replay.journal[-1]["day"]


def test_orders_fill_the_simulated_shelves(replayed):
    """The result's fill rate is that of the retailer's sales."""
    replay, result, _ = replayed
    sales = store.read(replay.settings.data, "sales")
    first = pd.Timestamp(result["reviews"][0])
    sold = sales[sales["date"] > first]["units"].sum()
    demand = np.nansum(replay.shop.true_demand(first + pd.Timedelta(days=1), START + DAYS * DAY))
    assert sold / demand == pytest.approx(result["costs"]["salescast"]["fill_rate"])


DAY = pd.Timedelta(days=1)


def test_the_report_leads_with_the_money_and_loads_nothing(replayed):
    """One file, no scripts, no addresses."""
    _, result, _ = replayed
    text = Path(result["report"]).read_text("utf-8")
    assert text.index("against the status quo") < text.index("Timeline")
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_a_killed_replay_goes_on_and_ends_with_the_identical_report(replayed):
    """Killed after the tenth day: the orders are on the shelves again, and all comes out alike."""
    whole, _, left = replayed
    replay = make_replay(left)
    assert len(replay.journal) == 10
    summarize(run(replay))
    for name in ("replay.json", "replay.html"):
        again = (replay.settings.build / name).read_bytes()
        assert again == (whole.settings.build / name).read_bytes()


def test_the_checkout_is_left_alone(replayed):
    """All that is written lies below build/replay."""
    replay, *_ = replayed
    root = replay.settings.root.parents[2]
    assert {name.partition("/")[0] for name in contents(root)} == {"config.toml", "build"}
    assert [path.name for path in (root / "build").iterdir()] == ["replay"]


def test_the_ledger_holds_a_forecast_of_every_day(replayed):
    """Also of the days whose delivery was refused: from the last day known."""
    replay, *_ = replayed
    with Ledger(replay.settings.ledger_url) as ledger:
        origins = ledger.forecasts()["origin"].nunique()
    assert origins == DAYS + 1 - 2


def test_another_plan_under_the_same_name_begins_anew(tmp_path):
    """What was replayed for one plan is not taken for another's."""
    replay = make_replay(tmp_path / "a")
    (replay.settings.build / "days").mkdir(parents=True)
    record = replay.settings.root / "plan.json"
    plan = json.loads(record.read_text("utf-8"))
    record.write_text(json.dumps(plan | {"days": 3}), "utf-8")
    assert not (make_replay(tmp_path / "a").settings.build / "days").exists()


def test_under_prefect_the_same_days_come_to_the_same(replayed, tmp_path):
    """Data, training, gate, forecasts and orders: the engine is nothing but a way to call them."""
    whole, *_ = replayed
    other = make_replay(tmp_path / "prefect")

    @flow(name="two days")
    def two_days() -> list[dict]:
        for _ in range(2):
            assert other.next_day
            other.record(run_day(on_prefect, other, other.next_day))
        return other.journal

    with prefect_test_harness(server_startup_timeout=180), store.rehearsing():
        two_days()

    assert other.journal == whole.journal[:2]
