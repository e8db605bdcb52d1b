"""The twins that `features.weather` trains for comparison, each in a workspace of its own."""

from pathlib import Path

import pandas as pd
import pytest

from salescast.data import store
from salescast.registry import read_model
from salescast.settings import Settings, read_settings
from salescast.stages import STAGES
from tests.builders import make_tables
from tests.workspaces import DAYS, make_workspace


def learned(root: Path, weather: str) -> Settings:
    """Build features, backtest and train with `features.weather` as given."""
    make_workspace(root)
    config = root / "config.toml"
    config.write_text(
        config.read_text("utf-8").replace('weather = "issued" ', f'weather = "{weather}" ')
    )
    settings = read_settings(config)
    store.append(settings.data, make_tables(DAYS))
    for stage in ("features", "backtest", "train"):
        STAGES[stage](settings)
    return settings


@pytest.fixture(scope="module")
def naive(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return the workspace of the naive twin."""
    return learned(tmp_path_factory.mktemp("twins") / "naive", "observed")


def test_the_naive_twin_learns_from_what_came_and_is_served_what_was_issued(naive: Settings):
    """Its training issues foresee everything; those of the tested origins do not."""
    rows = pd.read_parquet(naive.build / "features.parquet")
    tested = pd.read_parquet(naive.build / "predictions.parquet")["origin"].unique()
    served = rows["origin"].isin(tested)
    certain = rows["rain_probability"].isin([0.0, 1.0])
    known = rows["date"] <= store.read_all(naive.data)["weather_observed"]["date"].max()
    assert certain[~served & known].all()
    assert not certain[served].any()


def test_the_naive_twins_contract_asks_for_issues(naive: Settings):
    """Nobody can serve it tomorrow's observations."""
    assert read_model(naive.build / "model.skops")["contract"]["weather"] == "issued"


def test_the_blind_twin_asks_for_nothing(tmp_path: Path):
    """No weather in its rows, none in its contract, and no second blind twin beside it."""
    settings = learned(tmp_path / "blind", "none")
    rows = pd.read_parquet(settings.build / "features.parquet")
    models = pd.read_parquet(settings.build / "predictions.parquet")["model"].unique()
    assert rows["rain_probability"].isna().all()
    assert read_model(settings.build / "model.skops")["contract"]["weather"] == "none"
    assert set(models) == {"challenger", "seasonal_naive", "weekday_mean"}
