"""Real data end to end: the how-to's own script and commands, and what really comes out.

The gate may refuse or promote as the model gets better or worse; what holds either way is that
the outcome is recorded, reasoned and said.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from salescast.data import store
from salescast.errors import NoChampionError
from salescast.ledger.ledger import Ledger
from salescast.settings import Settings, read_settings
from salescast.stages import STAGES
from tests.workspaces import approve

ROOT = Path(__file__).parents[2]
START, END = date(2011, 9, 16), date(2011, 9, 30)


@dataclass(frozen=True)
class Run:
    """A finished `salescast run`: its exit code, what it said, and the workspace."""

    code: int
    output: str
    settings: Settings

    def wrote(self, name: str) -> Any:
        """Return a file of `build/`."""
        return json.loads((self.settings.build / name).read_text("utf-8"))


@pytest.fixture(scope="module")
def run(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Map the shop's files and run the life cycle on them, as the how-to says."""
    folder = tmp_path_factory.mktemp("uk")
    config = folder / "config.toml"
    environment = os.environ | {
        "SALESCAST_REAL_DATA": str(real_data),
        "SALESCAST_CONFIG": str(config),
        "PYTHONPATH": str(ROOT),
    }
    script = [sys.executable, str(ROOT / "docs/how-to/uk_gift_retailer.py"), str(folder)]
    subprocess.run(script, env=environment, check=True, capture_output=True)
    program = "from salescast.cli import main; main()"
    command = [sys.executable, "-c", program, "run", "--workspace", ".", "--engine", "inline"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3), done.stderr
    return Run(done.returncode, done.stderr, read_settings(config))


@pytest.fixture(scope="module")
def overruled(run: Run) -> Run:
    """Let a person promote the model, forecast with it, and let the fortnight come true."""
    if run.code == 3:
        with pytest.raises(NoChampionError):
            STAGES["forecast"](run.settings)
        approve(run.settings.root)
        STAGES["promote"](run.settings)
        STAGES["forecast"](run.settings)
        STAGES["ingest"](run.settings, until=END)
        STAGES["monitor"](run.settings)
    return run


def test_every_unit_of_retail_is_stored(run: Run, real_data: Path) -> None:
    """What was invoiced up to the origin, but for free and wholesale lines, is what we learn."""
    lines = pd.read_csv(real_data / "uk_gift_retailer/invoice_lines.csv")
    kept = lines[(lines["unit_price"] > 0) & (lines["quantity"] <= 24)]
    sales = store.read_all(run.settings.data)["sales"]
    until = sales["date"].max()
    expected = kept.loc[pd.to_datetime(kept["invoice_date"]) <= until, "quantity"].sum()
    assert sales["units"].sum() == expected


def test_real_data_pass_validation(run: Run) -> None:
    """Nothing is rejected and no row is put aside: warnings are for a person to read."""
    assert run.wrote("quality.json")["status"] in ("accepted", "accepted_with_warnings")


def test_the_run_says_that_its_weather_is_climatology(run: Run) -> None:
    """Without issued forecasts nobody may believe the model knew tomorrow's rain."""
    assert "no issued forecasts: weather is climatology" in run.output


def test_the_decision_is_recorded_with_its_reasons(run: Run) -> None:
    """File, ledger, exit code and words agree, whichever way the gate went."""
    decision = run.wrote("decision.json")
    failed = [check["reason"] for check in decision["checks"] if not check["passed"]]
    with Ledger(run.settings.ledger_url) as ledger:
        recorded = ledger.decisions()
    assert list(recorded["verdict"]) == [decision["verdict"]]
    assert (run.code == 3) == (decision["verdict"] == "refuse") == bool(failed)
    assert all(reason in run.output for reason in failed)


def test_the_model_is_cheaper_than_the_seasonal_naive(run: Run) -> None:
    """Repeating last week is dear on lumpy sales; less than that would be a broken model."""
    assert run.wrote("scorecard.json")["models"]["challenger"]["overall"]["skill"] > 0.1


def test_each_article_has_its_scores(run: Run) -> None:
    """The planner sees which articles the model serves badly."""
    items = run.wrote("scorecard.json")["models"]["challenger"]["by_item"]
    assert set(items) == set(store.read_all(run.settings.data)["items"]["item_id"])


def test_each_forecast_is_flagged_as_degraded(overruled: Run) -> None:
    """Every row served carries the reason: its weather is climatology."""
    rows = pd.read_parquet(overruled.settings.build / "forecasts.parquet")
    assert {tuple(flags) for flags in rows["degraded"]} == {("weather_climatology",)}


def test_saturdays_expect_nothing(overruled: Run) -> None:
    """The shop never trades on Saturdays, and the model knows."""
    rows = pd.read_parquet(overruled.settings.build / "forecasts.parquet")
    saturday = pd.DatetimeIndex(rows["date"]).day_of_week == 5
    assert rows.loc[saturday, "mean"].eq(0).all()
    assert rows.loc[~saturday, "mean"].gt(0).any()


def test_forecasts_meet_their_outcomes(overruled: Run) -> None:
    """A fortnight later the open days have matured: twelve of fourteen."""
    live = overruled.wrote("monitoring.json")["live"]
    assert live["matured"] == pytest.approx(12 / 14)
