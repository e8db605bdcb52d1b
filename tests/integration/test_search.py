"""A search finds what is cheaper, and MLflow remembers each trial."""

from pathlib import Path

import mlflow
import pytest

from salescast.models import kind_class
from salescast.registry import Registry
from salescast.stages.tuning import search

INTEGRATED, BOOSTING = (kind_class(kind).search_space for kind in ("integrated", "boosting"))
START = {"recent_days": 56, "drift": 1.0, "departure": 1.0}
BOOST = {name: low for name, (low, _) in BOOSTING.items()}


def bowl(params: dict[str, float]) -> float:
    """Cost least at drift 0.5 and departure 2."""
    return (params["drift"] - 0.5) ** 2 + (params["departure"] - 2) ** 2


def test_the_first_trial_is_where_we_stand():
    """A search of one trial changes nothing."""
    (only,) = search(INTEGRATED, START, bowl, trials=1, seed=1)
    assert only.params == START
    assert only.cost == pytest.approx(1.25)


def test_a_search_finds_a_cheaper_recipe_within_its_bounds():
    """Cheapest first; every trial keeps the space."""
    found = search(INTEGRATED, START, bowl, trials=25, seed=1)
    assert found[0].cost < 0.5
    assert [t.cost for t in found] == sorted(t.cost for t in found)
    for trial in found:
        for name, (low, high) in INTEGRATED.items():
            assert low <= trial.params[name] <= high


def test_a_search_with_the_same_seed_is_the_same_search():
    """Runs can be repeated."""
    assert search(BOOSTING, BOOST, len, 4, seed=3) == search(BOOSTING, BOOST, len, 4, seed=3)


def test_each_trial_is_a_nested_run(tmp_path: Path):
    """MLflow shows the search as one run with the trials below it."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    registry = Registry(uri, "umbrella-sales", tmp_path / "artifacts")
    parent = registry.log_search([({"drift": 0.5}, 1.0), ({"drift": 2.0}, 3.0)], "search")
    client = mlflow.MlflowClient(uri)
    runs = client.search_runs([client.get_run(parent).info.experiment_id])
    nested = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent]
    assert sorted(run.data.metrics["cost"] for run in nested) == [1.0, 3.0]
    assert client.get_run(parent).data.metrics["cost"] == 1.0
