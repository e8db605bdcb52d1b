"""A ledger that is away for an hour, or asked by two at once, neither loses nor doubles a row."""

from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from salescast.contract.schema import as_of
from salescast.data import store
from salescast.errors import StoreUnavailableError
from salescast.ledger.ledger import Ledger
from salescast.settings import Settings, Stores, read_settings
from salescast.stages import STAGES
from salescast.stages.configured import open_spool
from tests.builders import make_tables
from tests.integration.test_trial import ORIGIN, made_release
from tests.releases import serve_release
from tests.workspaces import make_workspace

AWAY = "postgresql+psycopg://sales:secret@127.0.0.1:9/sales"
SERVED = ["receipt_id", "date", "mean", "p50", "degraded"]


@pytest.fixture(scope="module")
def release() -> dict[str, bytes]:
    """Return the files of a release."""
    return made_release(1.0, "2")


@pytest.fixture
def settings(tmp_path, release) -> Settings:
    """Return a workspace with data and a champion."""
    made = read_settings(make_workspace(tmp_path, {}) / "config.toml")
    store.append(made.data, as_of(make_tables(200), ORIGIN))
    serve_release(made, "2", release)
    return made


@pytest.fixture
def outage(settings) -> Settings:
    """Return the same workspace while its ledger does not answer."""
    return settings.model_copy(update={"stores": Stores(ledger_url=AWAY)})


def served(settings: Settings) -> pd.DataFrame:
    """Return what the ledger says was served, receipts in order."""
    with Ledger(settings.ledger_url) as ledger:
        return ledger.forecasts().sort_values(["receipt_id", "date"], ignore_index=True)[SERVED]


def waiting(settings: Settings) -> list[str]:
    """Return the kinds of what waits, oldest first."""
    files = sorted((settings.build / "spool").glob("*"))
    return [path.stem.rpartition("-")[2] for path in files]


def test_forecasts_and_orders_go_on_without_a_ledger(outage):
    """They are made, kept, and it is said that they are."""
    made = STAGES["forecast"](outage)
    STAGES["order"](outage)

    assert "kept until the ledger answers" in made["summary"]
    assert waiting(outage) == ["forecasts", "orders"]


def test_what_waited_is_written_before_what_is_new(settings, outage):
    """Two days, the first without a ledger: in the end it has both, and nothing waits."""
    STAGES["forecast"](outage)
    STAGES["order"](outage)
    missed = pd.read_parquet(settings.build / "forecasts.parquet")
    store.append(settings.data, as_of(make_tables(200), ORIGIN + pd.Timedelta(days=1)))

    STAGES["forecast"](settings)

    known = served(settings)
    assert waiting(settings) == []
    assert set(missed["receipt_id"]) < set(known["receipt_id"])
    with Ledger(settings.ledger_url) as ledger:
        assert len(ledger.orders()) == missed["receipt_id"].nunique()


def test_a_forecast_that_waited_is_the_one_that_was_served(settings, outage):
    """Bit for bit, and nobody who looks at the ledger can tell."""
    STAGES["forecast"](outage)
    made = pd.read_parquet(settings.build / "forecasts.parquet")
    made = made.sort_values(["receipt_id", "date"], ignore_index=True)[SERVED]
    with Ledger(settings.ledger_url) as ledger:
        assert open_spool(settings).catch_up(ledger) == len(made)

    known = served(settings)
    pd.testing.assert_frame_equal(known.drop(columns="degraded"), made.drop(columns="degraded"))
    assert [list(row) for row in known["degraded"]] == [list(row) for row in made["degraded"]]


def test_a_password_is_in_no_warning(outage, caplog):
    """The ledger is named without it."""
    STAGES["forecast"](outage)
    assert "127.0.0.1:9/sales" in caplog.text
    assert "secret" not in caplog.text


def test_two_monitors_at_once_write_everything_once(settings):
    """They come to the same; outcomes and alarms are there once."""
    STAGES["forecast"](settings)
    store.append(settings.data, as_of(make_tables(200), ORIGIN + pd.Timedelta(days=10)))
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: STAGES["monitor"](settings), range(2)))
    with Ledger(settings.ledger_url) as ledger:
        outcomes, raised = ledger.outcomes(), ledger.alarms()
    assert found[0]["live"] == found[1]["live"]
    assert len(outcomes) > 0
    assert not outcomes.duplicated(["store_id", "item_id", "date"]).any()
    assert not raised.duplicated(["name", "subject", "origin"]).any()


def test_a_torn_or_foreign_file_is_set_aside_and_named(settings, outage, caplog):
    """It hinders nothing: what waits besides it is written."""
    STAGES["forecast"](outage)
    spool = settings.build / "spool"
    whole = next(spool.glob("*-forecasts.parquet")).read_bytes()
    (spool / "0-forecasts.parquet").write_bytes(whole[: len(whole) // 2])
    (spool / "1-recipes.parquet").write_bytes(whole)
    (spool / "2-orders.parquet").write_bytes(whole)

    STAGES["forecast"](settings)

    names = {path.name for path in (spool / "damaged").iterdir()}
    assert names == {"0-forecasts.parquet", "1-recipes.parquet", "2-orders.parquet"}
    assert all(name in caplog.text for name in names)
    assert not open_spool(settings).waiting


def test_many_catch_ups_at_once_write_everything_once(settings, outage):
    """Each file is written by whoever comes first; nobody stumbles over its being gone."""
    STAGES["forecast"](outage)
    rows = len(pd.read_parquet(settings.build / "forecasts.parquet"))

    def catch_up(_):
        with Ledger(settings.ledger_url) as ledger:
            return open_spool(settings).catch_up(ledger)

    with ThreadPoolExecutor(6) as pool:
        written = list(pool.map(catch_up, range(6)))

    assert sum(written) == rows
    assert not (settings.build / "spool" / "damaged").exists()


def test_a_deleted_ledger_is_noticed_where_releases_serve(settings, caplog):
    """Nothing is recorded into an empty one in its place: it waits, and monitoring says why."""
    (settings.build / "ledger.db").unlink()

    assert "kept until the ledger answers" in STAGES["forecast"](settings)["summary"]
    assert "was deleted or is another one" in caplog.text
    with pytest.raises(StoreUnavailableError, match="salescast restore"):
        STAGES["monitor"](settings)
