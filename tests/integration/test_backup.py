"""A backup taken while everything runs brings the same champion, receipts and orders back."""

import json
import shutil
import threading
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from salescast.cli import app
from salescast.contract.schema import as_of
from salescast.data import store, versions
from salescast.errors import ConfigError, DataQualityError, StoreUnavailableError
from salescast.ledger.ledger import Ledger
from salescast.release import Releases
from salescast.settings import read_settings
from salescast.stages import STAGES
from salescast.stages.backup import backup, restore
from salescast.stages.configured import open_registry
from salescast.stages.promotion import promote, rollback
from salescast.stages.pruning import prune
from salescast.stages.receipts import replay
from tests.builders import make_tables
from tests.integration.test_promotion import log_version
from tests.integration.test_trial import ORIGIN
from tests.workspaces import make_workspace


def make_shop(root, versions=2):
    """Return a workspace with judged versions, each promoted in turn."""
    settings = read_settings(make_workspace(root, {}) / "config.toml")
    store.append(settings.data, as_of(make_tables(200), ORIGIN))
    for number in range(1, versions + 1):
        log_version(settings, number)
        promote(settings, number)
    return settings


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Return a workspace with two judged versions, the second promoted; it has forecast."""
    settings = make_shop(tmp_path_factory.mktemp("backup") / "shop")
    STAGES["forecast"](settings)
    return settings


def promised(settings):
    """Return every forecast that the ledger has, receipts in order."""
    with Ledger(settings.ledger_url) as ledger:
        return ledger.forecasts().sort_values(["receipt_id", "date"], ignore_index=True)


@contextmanager
def load(settings):
    """Write outcomes, forecasts and promotions meanwhile."""
    stop, errors = threading.Event(), []

    def write():
        number = 0
        try:
            while not stop.is_set():
                number += 1
                sold = [("s1", "u1", pd.Timestamp("2023-07-01"), number, None)]
                columns = ["store_id", "item_id", "date", "units", "sold_out"]
                with Ledger(settings.ledger_url) as ledger:
                    ledger.report_outcomes(pd.DataFrame(sold, columns=columns), datetime.now())
                if number % 20 == 0:
                    rollback(settings)
        except Exception as error:  # noqa: BLE001 - the test shows it
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    yield
    stop.set()
    writer.join()
    assert errors == []


def destroy(settings):
    """Lose the machine but for what git has."""
    shutil.rmtree(settings.build)
    shutil.rmtree(settings.data)


def test_what_a_backup_under_load_has_is_restored_bit_for_bit(running, tmp_path):
    """The drill: back up, destroy, restore; champion, receipts and data are as they were."""
    before, version = promised(running), versions.data_version(running.data)
    with load(running):
        saved = backup(running, tmp_path / "saved")
    destroy(running)

    summary = restore(running, tmp_path / "saved")["summary"]

    with Ledger(running.ledger_url) as ledger:
        last = ledger.promotions().iloc[-1]
    champion = Releases(running.releases).champion()
    assert saved["summary"].endswith(f"data version {version}")
    assert f"version {champion.version} is the champion" in summary
    assert (champion.version, champion.digest) == (last["model_version"], last["digest"])
    assert open_registry(running).version("champion").number == int(champion.version)
    pd.testing.assert_frame_equal(promised(running), before, check_exact=True)
    assert "bit for bit" in replay(running, before["receipt_id"].iloc[0])["summary"]


def test_after_a_restore_everything_goes_on(running, tmp_path):
    """Promotions, rollbacks and forecasts work, from another folder, too."""
    backup(running, tmp_path / "saved")
    root = make_workspace(tmp_path / "elsewhere", {})
    settings = read_settings(root / "config.toml")
    restore(settings, tmp_path / "saved")

    promote(settings, 2)
    assert rollback(settings)["version"] == 1
    assert STAGES["forecast"](settings)["model_version"] == "1"
    assert str(running.root) not in str(open_registry(settings).artifact(
        open_registry(settings).version(2), "scorecard.json"
    ))  # fmt: skip


@pytest.mark.parametrize("name", ["ledger.db", "mlflow.db", "backup.json", "data.dvc"])
def test_a_damaged_backup_is_not_restored(running, tmp_path, name):
    """It is named, and the workspace stays as it was."""
    (running.root / "data.dvc").write_text("outs: []\n")
    backup(running, tmp_path / "saved")
    (running.root / "data.dvc").unlink()
    path = tmp_path / "saved" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    before = promised(running)

    with pytest.raises(DataQualityError, match=r"backup"):
        restore(running, tmp_path / "saved")

    pd.testing.assert_frame_equal(promised(running), before, check_exact=True)


def test_what_was_there_before_a_restore_is_kept(running, tmp_path):
    """In build/replaced, for whoever restored the wrong backup."""
    backup(running, tmp_path / "saved")
    replaced = restore(running, tmp_path / "saved")["replaced"]
    with Ledger(f"sqlite:///{replaced}/ledger.db") as ledger:
        assert len(ledger.promotions()) >= 2


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["backup", "saved"], "MB in saved: version"),
        (["restore", "saved"], "saved is restored: version"),
        (["prune"], "would go; --yes removes them"),
    ],
)
def test_the_commands_say_what_they_did(running, tmp_path, monkeypatch, words, printed):
    """One sentence each; the folder is named as it was typed."""
    monkeypatch.setenv("SALESCAST_CONFIG", str(running.root / "config.toml"))
    monkeypatch.chdir(tmp_path)
    if words[0] == "restore":
        backup(running, Path("saved"))

    result = CliRunner().invoke(app, words)

    assert result.exit_code == 0, result.output
    assert printed in result.output


def test_a_backup_is_never_written_over(running, tmp_path):
    """Yesterday's may be the good one."""
    with pytest.raises(ConfigError, match="name a new folder"):
        backup(running, tmp_path)


def test_a_backup_that_cannot_be_finished_is_not_there(running, tmp_path, monkeypatch):
    """Half a backup would be believed."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("salescast.stages.backup.write_json", full)
    with pytest.raises(StoreUnavailableError, match="No space left"):
        backup(running, tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


def test_old_releases_are_listed_first_and_removed_when_asked(tmp_path):
    """The last champions stay, and a rollback among them works on."""
    settings = make_shop(tmp_path / "shop", 3)

    listed = prune(settings, 2)
    assert len(list(settings.releases.glob("[0-9]*"))) == 3
    removed = prune(settings, 2, remove=True)

    left = {path.name.partition("-")[0] for path in settings.releases.glob("[0-9]*")}
    assert listed["paths"] == removed["paths"]
    assert left == {"2", "3"}
    assert rollback(settings)["version"] == 2


def test_the_ledger_of_postgresql_is_backed_up_by_its_own_tools(
    postgres_url, tmp_path, monkeypatch
):
    """pg_dump and pg_restore; the password is on no command line."""
    monkeypatch.setenv("SALESCAST_STORES__LEDGER_URL", postgres_url)
    settings = make_shop(tmp_path / "shop")
    backup(settings, tmp_path / "saved")
    rollback(settings)

    assert "version 2 is the champion" in restore(settings, tmp_path / "saved")["summary"]
    assert json.loads((tmp_path / "saved" / "backup.json").read_text())["files"]["ledger.db"]
