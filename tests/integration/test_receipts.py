"""A receipt is rebuilt bit for bit, or it is said what is missing."""

import shutil
import sqlite3

import pandas as pd
import pytest

from salescast.data import store, versions
from salescast.errors import DataQualityError, ReceiptNotRebuilt, UnknownReceiptError
from salescast.ledger.ledger import Ledger
from salescast.settings import read_settings
from salescast.stages.forecasting import forecast
from salescast.stages.receipts import replay
from tests.builders import make_sales, make_tables
from tests.integration.test_api import make_workspace
from tests.releases import ORIGIN, release

DAY = pd.Timedelta(days=1)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Return a workspace, with DVC, whose champion has forecast; and one receipt."""
    source = make_workspace(tmp_path_factory.mktemp("receipts") / "source")
    store.append(source.data, make_tables())
    versions.init_workspace(source.root.with_name("shop"), source.root)
    settings = read_settings(source.root.with_name("shop") / "config.toml")
    release(settings, "boosting")
    versions.commit_version(settings.root)
    forecast(settings)
    with Ledger(settings.ledger_url) as ledger:
        receipt = ledger.forecasts()["receipt_id"].iloc[0]
    return settings, receipt


@pytest.fixture
def shop(served, tmp_path):
    """Return a copy of one's own, and the receipt."""
    shutil.copytree(served[0].root, tmp_path / "shop")
    return read_settings(tmp_path / "shop" / "config.toml"), served[1]


def learn_another_day(settings):
    """Let a day pass: another data version."""
    store.append(settings.data, {"sales": make_sales(201)})


def forget(settings):
    """Lose what DVC keeps of earlier data versions."""
    shutil.rmtree(settings.root / ".dvc")


def test_on_the_same_data_the_same_release_says_the_same(shop):
    """Every number, from the data as they lie there."""
    found = replay(*shop)

    assert found["receipt_id"] == shop[1]
    assert "on disk" in found["data"]


def test_an_older_data_version_is_fetched_through_dvc(shop):
    """A later day does not hinder, and data/ stays as it is."""
    learn_another_day(shop[0])
    now = versions.data_version(shop[0].data)

    assert "fetched by DVC" in replay(*shop)["data"]
    assert versions.data_version(shop[0].data) == now


def test_without_dvc_the_rows_known_at_the_origin_are_taken(shop):
    """Each row says when it became known."""
    learn_another_day(shop[0])
    forget(shop[0])

    data_line = replay(*shop)["data"]

    assert f"known at {ORIGIN:%Y-%m-%d}" in data_line
    assert "is no DVC repository" in data_line


def test_rows_that_were_slipped_in_are_found(shop):
    """A row that claims to have been known then changes the forecast, and the receipt says so."""
    late = make_sales(200).query("date == @ORIGIN").assign(units=500)
    store.append(shop[0].data, {"sales": late.assign(recorded_at=ORIGIN + 0.99 * DAY)})
    forget(shop[0])

    with pytest.raises(ReceiptNotRebuilt, match=r"\w+ differs by up to"):
        replay(*shop)


def test_a_number_changed_in_the_ledger_is_found(shop):
    """The receipt is a digest of the numbers that were served."""
    with sqlite3.connect(shop[0].build / "ledger.db") as ledger:
        ledger.execute("UPDATE forecasts SET mean = 1.0 WHERE receipt_id = ?", (shop[1],))

    with pytest.raises(DataQualityError, match="was changed in the ledger"):
        replay(*shop)


def test_a_missing_release_is_named(shop):
    """With the version, and where it was looked for."""
    shutil.rmtree(shop[0].releases)

    with pytest.raises(ReceiptNotRebuilt, match="release of model version 1 is missing"):
        replay(*shop)


def test_a_receipt_nobody_has_cannot_be_rebuilt(shop):
    """It is unknown."""
    with pytest.raises(UnknownReceiptError):
        replay(shop[0], "none")
