"""Stages that work through partitions of stores leave what they leave in one piece."""

from typing import Any

import pandas as pd
import pytest

from flows.engine import inline, workers
from salescast.data import store
from salescast.release import Release, Releases
from salescast.settings import Scale, Settings, read_settings
from salescast.stages.partitions import split
from tests.builders import FIRST, make_tables
from tests.releases import make_files
from tests.workspaces import make_workspace

DAYS, STORES = 150, 5
LEFT = {"features": "features.parquet", "forecast": "forecasts.parquet"}
LEARNED = ("model.skops", "fallback.skops", "importance.json")
OPENED = FIRST + pd.Timedelta(days=DAYS - 9)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return a workspace of five stores, the last just opened and a release."""
    settings = read_settings(make_workspace(tmp_path_factory.mktemp("scale") / "x") / "config.toml")
    tables = make_tables(DAYS, stores=STORES)
    sales = tables["sales"]
    tables["sales"] = sales[(sales["store_id"] != "s5") | (sales["date"] >= OPENED)]
    store.append(settings.data, tables)
    shelf = Releases(settings.releases)
    shelf.point(Release(1, "1", shelf.publish("1", make_files("integrated"))))
    return settings


def run(settings: Settings, stage: str, **scale: Any) -> pd.DataFrame:
    """Run a stage, cut and worked through as `scale` says; return the rows it leaves."""
    scaled = settings.scale.model_copy(update=scale)
    inline(settings.model_copy(update={"scale": scaled}))(stage)
    return pd.read_parquet(settings.build / LEFT.get(stage, LEFT["features"]))


@pytest.mark.parametrize(
    ("stage", "runner"),
    [
        ("features", "inline"),
        ("features", "threads"),
        ("forecast", "inline"),
        ("forecast", "threads"),
    ],
)
def test_partitions_leave_what_the_chain_leaves(whole: Settings, stage: str, runner: str):
    """The same rows in the same order, receipts and all, bit for bit."""
    expected = run(whole, stage)
    made = run(whole, stage, partitions=3, runner=runner)
    pd.testing.assert_frame_equal(made, expected, check_exact=True)


def test_processes_work_in_the_order_asked_for():
    """Whoever is done first."""
    mapper = workers(Scale(partitions=3, runner="processes"))
    assert mapper(abs, [-3, 1, -2]) == [3, 1, 2]


def test_partitions_teach_what_the_chain_teaches(whole: Settings):
    """The models, what they lean on and how days hang together: the same bytes."""
    made = []
    for count in (1, 3):
        for stage in ("features", "train"):
            run(whole, stage, partitions=count)
        made.append([(whole.build / name).read_bytes() for name in LEARNED])
    assert made[0] == made[1]


def test_nothing_is_left_of_partitions_that_were_joined(whole: Settings):
    """They would fill the disk."""
    run(whole, "features", partitions=2)
    assert list((whole.build / "partitions").iterdir()) == []


def test_stores_are_cut_into_runs_of_like_size():
    """Sorted, each once, and no partition without a store."""
    parts = split(["b", "a", "c", "a", "d", "e"], 3)
    assert [part.store_ids for part in parts] == [("a",), ("b", "c"), ("d", "e")]
    assert [part.store_ids for part in split(["a"], 9)] == [("a",)]
