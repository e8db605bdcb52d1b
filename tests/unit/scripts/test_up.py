"""Processes are started, waited for and stopped, and nothing else is touched."""

import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from salescast.errors import ConfigError, StoreUnavailableError
from salescast.settings import read_settings
from scripts import up
from scripts.prefect_api import automations


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep ids and logs apart from those of a real `make up`."""
    monkeypatch.setattr(up, "FOLDER", tmp_path)
    monkeypatch.setattr(up, "PIDS", tmp_path / "pids.json")
    yield tmp_path
    up.down()


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_service_is_waited_for_and_stopped() -> None:
    """It is healthy when it answers, and gone after down."""
    port = _port()
    command = (sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1")
    service = up.Service("web", command, f"http://127.0.0.1:{port}/")
    up.start(service, os.environ)
    up.await_health(service)
    assert list(up.running()) == ["web"]
    assert up.down() == ["web"]
    assert not up.answers(service.health)
    assert up.running() == {}


def test_a_service_that_ends_is_reported_with_the_end_of_its_log() -> None:
    """Whoever starts it reads why it did not come up."""
    command = (sys.executable, "-c", "raise SystemExit('no database here')")
    service = up.Service("web", command, "http://127.0.0.1:9/")
    up.start(service, os.environ)
    with pytest.raises(StoreUnavailableError, match="no database here"):
        up.await_health(service)


def test_a_taken_port_is_named_with_what_chooses_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is started where something listens already."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setenv("UP_PREFECT_PORT", str(port))
        with pytest.raises(ConfigError, match=f"port {port} of prefect is taken.*UP_PREFECT_PORT"):
            up.up(read_settings(up.ROOT / "config.toml"))
    assert up.running() == {}


def test_an_id_that_was_given_to_somebody_else_is_left_alone() -> None:
    """After a restart of the machine a noted id may be anybody's."""
    up.PIDS.write_text(json.dumps({"web": 1}))
    assert up.running() == {}
    assert up.down() == []


def test_each_automation_runs_a_deployment_that_there_is() -> None:
    """What monitoring asks for, and a day without data, start a flow of prefect.yaml."""
    described = yaml.safe_load((up.ROOT / "prefect.yaml").read_text())["deployments"]
    names = {f"{one['entrypoint'].rpartition(':')[2]}/{one['name']}" for one in described}
    held = automations({name: f"<{name}>" for name in names})
    runs = [one["actions"][0].get("deployment_id") for one in held]
    assert runs == ["<train/weekly>", "<monitor/daily>", None, None]


def test_each_deployment_that_automations_name_exists() -> None:
    """No name of a deployment is left in what the server gets."""
    described = yaml.safe_load((up.ROOT / "prefect.yaml").read_text())["deployments"]
    names = {f"{one['entrypoint'].rpartition(':')[2]}/{one['name']}" for one in described}
    assert not re.search(r"\{\w+/\w+\}", json.dumps(automations(dict.fromkeys(names, "id"))))
