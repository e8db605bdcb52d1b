"""The version we compute is DVC's, and what DVC hands out is what was put in."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from salescast.data import store, versions
from salescast.errors import DataQualityError, StoreUnavailableError
from tests.builders import make_sales, make_tables


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Folder with tables and a config, like a checkout; git and DVC know nothing of it."""
    store.append(tmp_path / "data", make_tables(40))
    (tmp_path / "config.toml").write_text("[product]\n")
    return tmp_path


@pytest.fixture
def workspace(checkout: Path) -> Path:
    """Return a workspace of its own inside the checkout, its data recorded and pushed."""
    versions.init_workspace(checkout / "build" / "demo", checkout)
    versions.commit_version(checkout / "build" / "demo")
    return checkout / "build" / "demo"


def remote_file(workspace: Path, relative: str) -> Path:
    """Return the remote's copy of a file below data/."""
    md5 = hashlib.md5((workspace / "data" / relative).read_bytes()).hexdigest()
    return workspace / "remote" / "files" / "md5" / md5[:2] / md5[2:]


def lose_local_copies(workspace: Path) -> None:
    """Leave only the pin and the remote, as a fresh clone has them."""
    shutil.rmtree(workspace / "data")
    shutil.rmtree(workspace / ".dvc" / "cache")


def test_our_version_is_the_one_dvc_writes(workspace):
    """`data_version` and `data.dvc` name the same hash."""
    assert versions.data_version(workspace / "data") == versions.pinned_version(workspace)


def test_without_dvc_the_version_is_computed_and_nothing_recorded(checkout):
    """A workspace that is no DVC repository still has a data version."""
    version = versions.commit_version(checkout)

    assert version == versions.data_version(checkout / "data")
    assert not (checkout / "data.dvc").exists()


def test_new_days_are_a_new_version_and_few_new_bytes(workspace):
    """A delivery moves the pin; the remote gains only the changed months and the new list."""
    before, objects = versions.pinned_version(workspace), workspace / "remote" / "files"
    count = sum(path.is_file() for path in objects.rglob("*"))
    store.append(workspace / "data", {"sales": make_sales(41)})

    after = versions.commit_version(workspace)

    assert after not in (None, before)
    assert sum(path.is_file() for path in objects.rglob("*")) == count + 2


def test_pull_restores_the_pinned_version(workspace):
    """From pin and remote alone the tables come back."""
    pinned = versions.pinned_version(workspace)
    lose_local_copies(workspace)

    pulled = versions.pull(workspace)

    assert pulled == pinned
    assert len(store.read(workspace / "data", "sales")) == 160


def test_a_flipped_bit_in_the_remote_is_an_error_naming_the_file(workspace):
    """The remote is verified: what is damaged there is not handed out."""
    damaged = remote_file(workspace, "sales/2023-01.parquet")
    content = bytearray(damaged.read_bytes())
    content[100] ^= 1
    damaged.chmod(0o644)
    damaged.write_bytes(content)
    lose_local_copies(workspace)

    with pytest.raises(StoreUnavailableError, match=r"sales/2023-01\.parquet.*dvc push"):
        versions.pull(workspace)


def test_a_file_missing_from_the_remote_is_an_error_naming_it(workspace):
    """Something never pushed cannot be pulled, and the message says what."""
    remote_file(workspace, "stock/2023-02.parquet").unlink()
    lose_local_copies(workspace)

    with pytest.raises(StoreUnavailableError, match=r"stock/2023-02\.parquet"):
        versions.pull(workspace)


def test_a_damaged_list_of_files_is_an_error_naming_it(workspace):
    """The list itself is verified too."""
    pinned = versions.pinned_version(workspace)
    listing = workspace / "remote" / "files" / "md5" / pinned[:2] / pinned[2:]
    listing.chmod(0o644)
    listing.write_bytes(listing.read_bytes()[:-50])
    lose_local_copies(workspace)

    with pytest.raises(StoreUnavailableError, match=f"the list of files {pinned}"):
        versions.pull(workspace)


@pytest.fixture(params=["../../escaped.parquet", "/tmp/escaped-by-a-listing.parquet"])
def hostile(workspace: Path, request: pytest.FixtureRequest) -> tuple[Path, str]:
    """Return a workspace whose pin names a list of files that leads out of data/, and where."""
    content = b"not a table"
    md5 = hashlib.md5(content).hexdigest()
    listing = json.dumps([{"md5": md5, "relpath": request.param}]).encode()
    version = hashlib.md5(listing).hexdigest()
    for name, stored in ((md5, content), (f"{version}.dir", listing)):
        path = workspace / "remote" / "files" / "md5" / name[:2] / name[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(stored)
    pinned, pin = versions.pinned_version(workspace), workspace / "data.dvc"
    pin.write_text(pin.read_text().replace(str(pinned), f"{version}.dir"))
    lose_local_copies(workspace)
    return workspace, request.param


def test_a_list_of_files_that_leads_out_of_the_data_is_not_pulled(hostile):
    """Whoever can write to the remote cannot write elsewhere on this machine."""
    workspace, relpath = hostile
    with pytest.raises(DataQualityError, match="outside the data"):
        versions.pull(workspace)
    assert not (workspace / "data" / relpath).exists()


def test_a_list_of_files_that_leads_out_of_the_data_is_not_fetched(hostile, tmp_path):
    """Nor for the replay of a receipt."""
    workspace, relpath = hostile
    with pytest.raises(DataQualityError, match="outside the data"):
        versions.fetch_version(workspace, versions.pinned_version(workspace), tmp_path / "a" / "b")
    assert not (tmp_path / "a" / "b" / relpath).exists()


def test_pull_does_not_overwrite_what_was_never_recorded(workspace):
    """Days ingested and not yet committed survive a pull."""
    store.append(workspace / "data", {"sales": make_sales(41)})

    with pytest.raises(StoreUnavailableError):
        versions.pull(workspace)

    assert len(store.read(workspace / "data", "sales")) == 164


def test_pull_without_a_pin_says_so(checkout):
    """No `data.dvc`: nothing to pull."""
    with pytest.raises(DataQualityError, match=r"data\.dvc: no version is pinned"):
        versions.pull(checkout)


def test_an_unreachable_remote_is_an_error_of_ours(workspace):
    """Where the remote cannot be written, committing fails by name and the data stay."""
    shutil.rmtree(workspace / "remote")
    (workspace / "remote").write_text("in the way")
    store.append(workspace / "data", {"sales": make_sales(41)})

    with pytest.raises(StoreUnavailableError, match="DVC in"):
        versions.commit_version(workspace)

    assert len(store.read(workspace / "data", "sales")) == 164


def test_a_workspace_leaves_the_repository_around_it_alone(tmp_path, capfd):
    """Inside a git and DVC repository the demonstration's versions stay its own, and quiet."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("/build/\n/data/\n")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    store.append(tmp_path / "data", make_tables(40))
    pinned = versions.commit_version(tmp_path)
    status = ["git", "-C", str(tmp_path), "status", "--porcelain"]
    before = subprocess.run(status, capture_output=True, check=True).stdout
    demo = tmp_path / "build" / "demo"

    versions.init_workspace(demo, tmp_path)
    store.append(demo / "data", {"sales": make_sales(41)})
    moved = versions.commit_version(demo)

    assert moved == versions.pinned_version(demo) != pinned
    assert versions.commit_version(tmp_path) == versions.pinned_version(tmp_path) == pinned
    assert subprocess.run(status, capture_output=True, check=True).stdout == before
    assert capfd.readouterr() == ("", "")


def test_a_workspace_made_again_starts_from_the_source(workspace, checkout):
    """What an earlier demonstration delivered is gone, also after an interrupted copy."""
    store.append(workspace / "data", {"sales": make_sales(41)})
    (checkout / "build" / "demo.new" / "half").mkdir(parents=True)

    versions.init_workspace(workspace, checkout)

    assert versions.data_version(workspace / "data") == versions.data_version(checkout / "data")
    assert not (checkout / "build" / "demo.new").exists()


def test_a_lock_that_cannot_be_read_is_an_error_with_its_remedy(workspace):
    """An interrupted DVC leaves an empty one: the message names the file to delete."""
    shutil.copyfile(workspace / "config.toml", workspace / "data" / "config.toml")
    (workspace / versions.LOCK).write_text("")

    with pytest.raises(StoreUnavailableError, match="delete that file"):
        versions.commit_version(workspace)


def test_a_full_disk_is_called_by_its_name(workspace, monkeypatch):
    """DVC says only that files failed to upload."""
    monkeypatch.setattr(versions, "FULL_MB", 1e12)
    (workspace / versions.LOCK).write_text("")
    shutil.copyfile(workspace / "config.toml", workspace / "data" / "config.toml")

    with pytest.raises(StoreUnavailableError, match="MB left: free space"):
        versions.commit_version(workspace)
