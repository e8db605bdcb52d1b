"""Each trap is laid for real; the doctor names it and says how to mend it."""

import socket
from pathlib import Path

import pytest

from salescast.doctor import describe, machine, stores
from salescast.doctor.machine import Finding
from salescast.settings import Settings, read_settings
from salescast.stages.configured import open_registry
from tests.workspaces import make_workspace, run_here

CLOSED = "127.0.0.1:9"  # the discard service, which nobody runs


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return the settings of an empty workspace."""
    return read_settings(make_workspace(tmp_path / "shop", {}) / "config.toml")


def _install(folder: Path, name: str, version: str) -> None:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_a_version_that_is_not_allowed_is_named_with_the_reason(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy 2.1 is found before Prefect's server dies of it."""
    _install(tmp_path / "site", "sqlalchemy", "2.1.0")
    monkeypatch.syspath_prepend(tmp_path / "site")
    found = machine.versions(settings)
    assert found.fix
    assert "sqlalchemy 2.1.0" in found.summary
    assert "CancelledErrors" in found.summary


def test_what_make_setup_installed_is_allowed(settings: Settings) -> None:
    """The environment that runs the tests is a good one."""
    assert not machine.versions(settings).fix
    assert not machine.python(settings).fix
    assert not machine.conflicts(settings).fix


def test_a_package_installed_by_hand_differs_from_the_lock(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock says one version, the environment has another."""
    (settings.root / "requirements.lock").write_text("numpy==2.3.0 \\\n    --hash=sha256:00\n")
    _install(tmp_path / "site", "numpy", "2.4.0")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert machine.lock(settings).summary == "numpy 2.4.0 instead of 2.3.0"


def test_only_lines_for_this_python_count(settings: Settings) -> None:
    """The lock is universal: what is meant for another Python is no difference."""
    lock = settings.root / "requirements.lock"
    lock.write_text("numpy==1.0 ; python_version < '3' \\\n    --hash=sha256:00\n")
    assert not machine.lock(settings).fix


def test_a_package_that_cannot_live_here_is_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evidently is found before it breaks an import."""
    _install(tmp_path / "site", "evidently", "0.7.23")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert "evidently" in machine.conflicts(settings).fix


def test_a_disk_without_room_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """More is needed than any disk has."""
    monkeypatch.setattr(machine, "NEEDED_GB", 1e12)
    assert "free" in machine.space(settings).fix


def test_a_taken_port_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something that is not ours listens on the API's port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
        monkeypatch.setenv("SALESCAST_SERVING__PORT", str(number))
        found = machine.port(read_settings(settings.root / "config.toml"))
    assert found.summary == f"127.0.0.1:{number} is taken by something else"


def test_data_changed_by_hand_is_not_what_is_pinned(settings: Settings) -> None:
    """A file that DVC does not know makes another version."""
    settings.data.mkdir()
    (settings.data / "sales.csv").write_text("edited")
    (settings.root / "data.dvc").write_text(f"outs:\n- md5: {'0' * 32}.dir\n")
    assert "dvc checkout" in stores.data(settings).fix


def _remote(root: Path, content: bytes, *, verify: str) -> None:
    (root / ".dvc").mkdir()
    remote = "['remote \"near\"']"
    text = f"[core]\n    remote = near\n{remote}\n    url = ../remote\n    verify = {verify}\n"
    (root / ".dvc/config").write_text(text)
    folder = root / "remote/files/md5/5d"
    folder.mkdir(parents=True)
    (folder / "41402abc4b2a76b9719d911017c592").write_bytes(content)  # the MD5 of "hello"


def test_an_intact_remote_is_well(settings: Settings) -> None:
    """Each file's content is what its name says."""
    _remote(settings.root, b"hello", verify="true")
    assert not stores.remote(settings).fix


def test_a_flipped_bit_in_the_remote_is_found(settings: Settings) -> None:
    """The damaged file is named before anybody pulls it."""
    _remote(settings.root, b"hellp", verify="true")
    assert "5d/41402abc4b2a76b9719d911017c592" in stores.remote(settings).summary


def test_a_lock_that_dvc_cannot_read_is_found(settings: Settings) -> None:
    """An interrupted DVC leaves an empty one, and then refuses to work."""
    assert not stores.dvc_lock(settings).fix
    (settings.root / ".dvc/tmp").mkdir(parents=True)
    (settings.root / ".dvc/tmp/rwlock").touch()
    assert stores.dvc_lock(settings).fix == "rm .dvc/tmp/rwlock"


def test_a_remote_that_is_not_verified_is_told(settings: Settings) -> None:
    """DVC would pull damage with exit code 0."""
    _remote(settings.root, b"hello", verify="false")
    assert stores.remote(settings).fix == "dvc remote modify near verify true"


def test_a_folder_is_no_registry(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's old file store is refused by MLflow; the doctor says what to use."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    assert "sqlite:///" in stores.registry(settings).fix


def test_a_server_that_is_not_there_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registry, ledger and Prefect each name the address that does not answer."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{CLOSED}")
    monkeypatch.setenv("SALESCAST_STORES__LEDGER_URL", f"postgresql+psycopg://u:p@{CLOSED}/x")
    monkeypatch.setenv("PREFECT_API_URL", f"http://{CLOSED}/api")
    away = read_settings(settings.root / "config.toml")
    found = [stores.registry(away), stores.ledger(away), stores.prefect(away)]
    assert all(one.fix for one in found)
    assert all(CLOSED in one.summary for one in found)


def test_a_damaged_ledger_is_told(settings: Settings) -> None:
    """What is no database is found before a forecast meets it."""
    settings.build.mkdir()
    (settings.build / "ledger.db").write_bytes(b"no database" * 100)
    assert "not a database" in stores.ledger(settings).summary


def test_a_training_run_that_never_ended_is_found_and_ended(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process leaves its run RUNNING; --reap says what it is."""
    client = open_registry(settings)
    settings.build.mkdir()
    client._client.create_run(client._experiment())
    assert not stores.mlflow_runs(settings).fix
    monkeypatch.setattr(stores, "STALE_HOURS", -1)
    assert "--reap" in stores.mlflow_runs(settings).fix
    assert stores.reap(settings) == 1
    assert not stores.mlflow_runs(settings).fix


def test_a_line_that_is_bad_says_how_to_mend_it() -> None:
    """The cure stands below the complaint."""
    text = describe({"space": Finding("9 GB free"), "port": Finding("taken", "stop it")})
    assert [line.split() for line in text.splitlines()] == [
        ["ok", "space", "9", "GB", "free"],
        ["BAD", "port", "taken"],
        ["→", "stop", "it"],
    ]


def test_the_command_fails_where_something_is_bad(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A script can rely on the exit code."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    done = run_here(settings.root, monkeypatch, capfd, "doctor", "--json")
    assert done.code == 1
    assert '"registry"' in done.out
