"""A model of the owner's, by import path: trained, judged, promoted and served as any other.

What the flows and the API do for it is what they do for all. `make soak-torch` adds a network.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from api.main import create_app
from flows.engine import inline
from flows.train import train
from salescast.data import store
from salescast.errors import DataQualityError
from salescast.release import Releases
from salescast.settings import Settings, read_settings
from salescast.stages.configured import open_registry
from salescast.stages.forecasting import forecast
from salescast.stages.promotion import promote
from salescast.stages.tuning import tune
from tests.builders import make_tables
from tests.serving import ask
from tests.workspaces import approve, make_workspace

OWN = """
estimator = "tests.unit.models.test_estimator.LogLinear"
estimator_params = {shrink = 1.0}
estimator_space = {shrink = [0.1, 10.0]}
trusted_types = ["tests.unit.models.test_estimator.LogLinear"]
"""
NET = """
estimator = "count_net.CountNet"
estimator_params = {hidden = 8, epochs = 20, step = 0.01}
estimator_space = {step = [0.003, 0.03]}
trusted_types = ["count_net.CountNet"]
"""
HOW_TO = str(Path(__file__).parents[2] / "docs" / "how-to")
MODELS = {"LogLinear": OWN} | ({"CountNet": NET} if os.environ.get("SOAK_TORCH") else {})


def choose(root: Path, keys: str) -> None:
    """Let config.toml name the owner's class."""
    text = (root / "config.toml").read_text("utf-8")
    kept = re.sub(r"^(estimator\w*|trusted_types) = .*\n", "", text, flags=re.MULTILINE)
    chosen = kept.replace("[model]\nkind = ", f'[model]\n{keys.strip()}\nkind = "estimator" # ')
    (root / "config.toml").write_text(chosen, "utf-8")


@pytest.fixture(scope="module", params=MODELS)
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a workspace whose champion is the owner's class."""
    root = make_workspace(tmp_path_factory.mktemp("own") / "shop", {})
    choose(root, MODELS[request.param])
    store.append(root / "data", make_tables(300))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HOW_TO)
        settings = read_settings(root / "config.toml")
        decision = train(inline(settings))
        sys.stdout.write(f"{decision['summary']}\n")  # `make soak-torch` shows it
        approve(root)
        promote(settings)
        yield settings


def test_the_gate_judged_it_by_the_same_checks_as_any(settings: Settings) -> None:
    """All of them were made: what it needs for that, the gate asks of every model."""
    decision = json.loads((settings.build / "decision.json").read_text("utf-8"))
    assert len(decision["checks"]) > 10


def test_the_registry_knows_how_it_was_made(settings: Settings) -> None:
    """Class and hyperparameters stand with the run, and the model reads back."""
    registry = open_registry(settings)
    champion = registry.version("champion")
    assert champion
    params = registry.model(champion)["model"].get_params(deep=False)
    assert params["estimator"] == settings.model.estimator
    assert params["estimator_params"] == settings.model.estimator_params


def test_the_api_answers_with_it_what_the_batch_says(settings: Settings) -> None:
    """The same numbers over HTTP, with no line of the API knowing the class."""
    forecast(settings)
    batch = pd.read_parquet(settings.build / "forecasts.parquet")
    app = create_app(settings)
    app.state.serving.refresh()
    body = {"series": [{"store_id": "s1", "item_id": "u1"}]}
    answer = ask(app, "POST", "/v1/forecasts", json=body).json()
    expected = batch[(batch["store_id"] == "s1") & (batch["item_id"] == "u1")]["mean"]
    assert [day["mean"] for day in answer["forecasts"][0]["days"]] == expected.tolist()


def test_a_server_whose_own_config_does_not_name_the_class_refuses_it(settings: Settings) -> None:
    """That the trainer trusted it counts for nothing."""
    wary = settings.model_copy(
        update={"model": settings.model.model_copy(update={"trusted_types": ()})}
    )
    releases = Releases(settings.releases)
    with pytest.raises(DataQualityError, match=settings.model.trusted_types[0]):
        releases.read(releases.champion())
    app = create_app(wary.model_copy(update={"root": settings.root}))
    app.state.serving.refresh()
    assert ask(app, "GET", "/healthz/ready").status_code == 503


def test_a_search_tries_what_the_owner_named(settings: Settings) -> None:
    """Within the bounds, the first where we stand, handed on as one table."""
    found = tune(settings.model_copy(update={"root": settings.root}), 2)
    ((name, (low, high)),) = settings.model.estimator_space.items()
    assert low <= found["params"][name] <= high
    handed = json.loads(found["variables"]["SALESCAST_MODEL__ESTIMATOR_PARAMS"])
    assert handed == found["params"]
