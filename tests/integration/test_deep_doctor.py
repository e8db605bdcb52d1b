"""`salescast doctor --deep` compares the stores with each other and names what differs."""

import shutil
import sqlite3

import pandas as pd
import pytest

from salescast.doctor import deep
from salescast.ledger.ledger import Ledger
from salescast.release import Release, Releases
from salescast.settings import read_settings
from salescast.stages import STAGES
from salescast.stages.promotion import promote
from tests.integration.test_backup import make_shop
from tests.integration.test_promotion import move


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """Return a workspace with two promoted versions, forecasts and data."""
    settings = make_shop(tmp_path_factory.mktemp("deep") / "shop")
    STAGES["version"](settings)
    STAGES["forecast"](settings)
    return settings


@pytest.fixture
def shop(healthy, tmp_path):
    """Return a copy of one's own."""
    shutil.copytree(healthy.root, tmp_path / "shop")
    move(tmp_path / "shop" / "build" / "mlflow.db", str(healthy.root), str(tmp_path / "shop"))
    return read_settings(tmp_path / "shop" / "config.toml")


def change(settings, statement):
    """Change the ledger behind everybody's back."""
    with sqlite3.connect(settings.build / "ledger.db") as ledger:
        assert ledger.execute(statement).rowcount


CHECKS = (deep.receipts, deep.orders, deep.releases, deep.champion, deep.model, deep.files)


def bad(settings):
    """Return the names of the checks that find something, with how to fix it."""
    found = {check.__name__: check(settings) for check in CHECKS}
    return {name: finding.fix for name, finding in found.items() if finding.fix}


def test_a_healthy_workspace_has_no_finding(shop):
    """Every receipt, release, alias and file agrees."""
    assert bad(shop) == {}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE forecasts SET mean = mean + 1e-9 WHERE rowid = 5",
        "UPDATE forecasts SET quantiles = replace(quantiles, '1', '2') WHERE rowid = 5",
        "DELETE FROM forecasts WHERE rowid = 5",
        "UPDATE forecasts SET model_version = '1' WHERE rowid = 5",
    ],
)
def test_a_changed_forecast_is_found(shop, statement):
    """One bit is enough; the receipt was given for every number."""
    change(shop, statement)
    assert "restore" in bad(shop)["receipts"]


def test_an_order_without_its_forecast_is_found(shop):
    """What an order rests on must be there."""
    with Ledger(shop.ledger_url) as ledger:
        rows = ledger.forecasts().drop_duplicates("receipt_id").head(1)
        whole = dict.fromkeys(["on_hand", "on_order", "order", "planner_order"], 1)
        money = ["unit_cost", "spend", "expected_demand", "expected_lost", "expected_cost"]
        whole |= dict.fromkeys([*money, "planner_cost", "fill_rate"], 1.0)
        ledger.record_orders(rows.assign(due=True, counted=pd.NaT, **whole))
    change(shop, "DELETE FROM forecasts WHERE receipt_id IN (SELECT receipt_id FROM orders)")
    assert "orders" in bad(shop)


def test_a_lost_release_is_found_and_its_fix_works(shop):
    """It is published again from the registry."""
    shutil.rmtree(next(shop.releases.glob("2-*")))
    assert "salescast promote 2" in bad(shop)["releases"]
    promote(shop, 2)
    assert bad(shop) == {}


def test_a_pointer_to_another_release_is_found(shop):
    """Ledger, release folder and registry must name one champion."""
    with Ledger(shop.ledger_url) as ledger:
        first = ledger.promotions().iloc[0]
    Releases(shop.releases).point(Release(2, "1", first["digest"]))
    assert "champion" in bad(shop)


def test_a_damaged_model_in_the_registry_is_found(shop):
    """Its digest was registered."""
    for path in shop.artifacts.rglob("model.skops"):
        path.write_bytes(path.read_bytes()[:-1])
    assert "model" in bad(shop)
