"""A lost or altered file of the data is noticed, and never becomes the new truth."""

import shutil
from datetime import date

import pytest

from salescast.data import store, versions
from salescast.doctor import deep
from salescast.errors import DataQualityError
from salescast.settings import read_settings
from salescast.stages import STAGES
from tests.builders import make_tables
from tests.releases import release
from tests.workspaces import make_workspace

LOST = "sales/2023-02.parquet"


@pytest.fixture
def settings(tmp_path):
    """Return a workspace without DVC whose data version is recorded."""
    settings = read_settings(make_workspace(tmp_path / "shop", {}) / "config.toml")
    store.append(settings.data, make_tables(80))
    STAGES["version"](settings)
    return settings


def ingest(settings):
    """Run the stage; it would have nothing new to fetch."""
    return STAGES["ingest"](settings, until=date(2023, 1, 1))


@pytest.mark.parametrize("stage", [ingest, *(STAGES[n] for n in ("version", "features", "train"))])
def test_no_stage_goes_on_without_a_recorded_file(settings, stage):
    """The message names the file and how to bring it back."""
    (settings.data / LOST).unlink()
    with pytest.raises(DataQualityError, match=r"2023-02\.parquet.*dvc checkout"):
        stage(settings)


def test_nothing_is_forecast_without_a_recorded_file(settings):
    """A forecast from half the history looks like any other."""
    release(settings)
    (settings.data / LOST).unlink()
    with pytest.raises(DataQualityError, match="recorded files of data/ are missing"):
        STAGES["forecast"](settings)


def test_new_days_are_no_loss(settings):
    """A file that grows is what ingestion does; it is named in the log."""
    store.append(settings.data, make_tables(90))
    assert STAGES["version"](settings)["data_version"] == versions.data_version(settings.data)


def test_a_changed_file_is_found_by_the_deep_doctor(settings):
    """Also without DVC."""
    path = settings.data / LOST
    path.write_bytes(path.read_bytes() + b" ")
    assert LOST in deep.files(settings).summary


def test_with_dvc_its_own_list_of_files_is_the_record(settings):
    """A fresh clone has no build folder."""
    root = settings.root.with_name("demo")
    versions.init_workspace(root, settings.root)
    versions.commit_version(root)
    assert versions.changed_files(root) == []
    (root / "data" / LOST).unlink()
    with pytest.raises(DataQualityError, match="missing"):
        versions.require_files(root)


def test_without_any_record_nothing_is_claimed(settings):
    """Files of a first day are what they are."""
    shutil.rmtree(settings.build)
    assert versions.changed_files(settings.root) is None
