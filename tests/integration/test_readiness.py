"""Live, ready and what is answered, state by state, as docs/reference/api.md has it."""

import json
import os
import shutil
import signal
import socket
from contextlib import suppress

import httpx
import pytest

from api.main import create_app
from salescast.data import store
from salescast.release import Release, Releases
from salescast.settings import read_settings
from tests.builders import make_tables
from tests.integration.test_api import make_workspace, serve
from tests.releases import make_files, release
from tests.serving import ASK, ask
from tests.unit.release.test_bundle import MODELS


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return the settings of a workspace with data and no release."""
    settings = make_workspace(tmp_path_factory.mktemp("readiness") / "workspace")
    store.append(settings.data, make_tables())
    return settings


@pytest.fixture
def settings(stored, tmp_path):
    """Return a copy of its own."""
    shutil.copytree(stored.root, tmp_path / "workspace")
    return read_settings(tmp_path / "workspace" / "config.toml")


def started(settings):
    """Return the application of a process that has tried to load once."""
    app = create_app(settings)
    app.state.serving.refresh()
    return app


def state(app):
    """Return the statuses of live, ready and a forecast, and how ready is degraded."""
    live, ready = (ask(app, "GET", f"/healthz/{name}") for name in ("live", "ready"))
    forecast = ask(app, "POST", "/v1/forecasts", json=ASK)
    for answer in (ready, forecast):
        assert answer.status_code != 503 or answer.headers["retry-after"]
    return live.status_code, ready.status_code, forecast.status_code, ready.json().get("degraded")


NOT_READY = (200, 503, 503, None)
READY = (200, 200, 200, [])
LAST_GOOD = (200, 200, 200, ["last_good"])


def damage(settings):
    """Flip a bit of the champion's model."""
    releases = Releases(settings.releases)
    path = settings.releases / releases.champion().folder / "model.skops"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


def release_hostile(settings):
    """Let a release serve that names a type nobody reviewed, sealed as by an insider."""
    files = make_files() | {"model.skops": MODELS["a call of the system"](None)}
    releases = Releases(settings.releases)
    releases.point(Release(99, "9", releases.publish("9", files)))


def test_warming(settings):
    """Started, nothing loaded yet."""
    release(settings)
    assert state(create_app(settings)) == NOT_READY


def test_no_model(settings):
    """Nothing was ever promoted."""
    app = started(settings)
    assert state(app) == NOT_READY
    assert ask(app, "GET", "/healthz/ready").json()["title"] == "No champion"


def test_loaded(settings):
    """A release and data: ready, and nothing is missing."""
    release(settings)
    assert state(started(settings)) == READY


def test_a_first_promotion_is_noticed(settings):
    """Without a restart."""
    app = started(settings)
    release(settings)
    app.state.serving.refresh()
    assert state(app) == READY


def test_bad_digest_without_a_copy(settings):
    """Damaged before it was ever served here."""
    release(settings)
    damage(settings)
    app = started(settings)
    assert state(app) == NOT_READY
    assert ask(app, "GET", "/healthz/ready").json()["type"] == "/docs#bad-data"


def test_bad_digest_with_a_copy(settings):
    """A process that served it before starts from its own copy, and says so in each answer."""
    release(settings)
    started(settings)
    damage(settings)
    app = started(settings)
    forecast = ask(app, "POST", "/v1/forecasts", json=ASK).json()
    assert state(app) == LAST_GOOD
    assert (forecast["model_version"], forecast["degraded"]) == ("1", ["last_good"])


def test_untrusted_type_without_a_copy(settings):
    """Although manifest and digest fit."""
    release_hostile(settings)
    assert state(started(settings)) == NOT_READY


def test_untrusted_type_while_another_is_served(settings):
    """The last good release stays, and is served as degraded."""
    release(settings)
    app = started(settings)
    release_hostile(settings)
    app.state.serving.refresh()
    assert state(app) == LAST_GOOD
    assert ask(app, "GET", "/v1/model").json()["model_version"] == "1"


def test_registry_down(settings, monkeypatch):
    """The service never asks it."""
    release(settings)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert state(started(settings)) == READY


def test_registry_and_releases_down_with_a_copy(settings, monkeypatch):
    """The copy of the last good release is enough to start from."""
    release(settings)
    started(settings)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    shutil.rmtree(settings.releases)
    assert state(started(settings)) == LAST_GOOD


def test_registry_and_releases_down_without_a_copy(settings, monkeypatch):
    """There is nothing to serve; the process lives and waits."""
    release(settings)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    shutil.rmtree(settings.releases)
    assert state(started(settings)) == NOT_READY


def test_a_damaged_pointer_with_a_copy(settings):
    """Who serves is unknown; who served last is not."""
    release(settings)
    started(settings)
    (settings.releases / "champion").write_text("{")
    assert state(started(settings)) == LAST_GOOD


def test_degraded_ends_when_the_release_is_mended(settings):
    """Without a restart."""
    release(settings)
    app = started(settings)
    pointer = (settings.releases / "champion").read_bytes()
    (settings.releases / "champion").unlink()
    app.state.serving.refresh()
    assert state(app) == LAST_GOOD
    (settings.releases / "champion").write_bytes(pointer)
    app.state.serving.refresh()
    assert state(app) == READY


def test_data_away_while_something_is_served(settings):
    """What was served stays served."""
    release(settings)
    app = started(settings)
    shutil.rmtree(settings.data)
    app.state.serving.refresh()
    assert state(app) == LAST_GOOD


def test_data_away_at_start(settings):
    """Without data there is nothing to forecast from."""
    release(settings)
    shutil.rmtree(settings.data)
    assert state(started(settings)) == NOT_READY


def test_ledger_away_at_start(settings, monkeypatch):
    """What cannot be recorded yet is answered, kept, and recorded when the ledger is back."""
    monkeypatch.setattr("api.serving.RETRY_SECONDS", 0.0)
    release(settings)
    ledger, away = settings.build / "ledger.db", settings.build / "ledger.away"
    ledger.rename(away)
    ledger.mkdir()
    app = started(settings)
    assert state(app) == READY
    receipt = ask(app, "POST", "/v1/forecasts", json=ASK).json()["forecasts"][0]["receipt_id"]
    ledger.rmdir()
    away.rename(ledger)
    app.state.serving.refresh()
    assert ask(app, "GET", f"/v1/receipts/{receipt}").status_code == 200


def test_draining(settings, monkeypatch):
    """After SIGTERM: not ready, but what is in flight, and what still comes, is answered."""
    monkeypatch.setenv("SALESCAST_SERVING__DRAIN_SECONDS", "5")
    release(settings)
    with serve(settings) as url:
        body = json.dumps(ASK).encode()
        host = url.removeprefix("http://")
        head = f"POST /v1/forecasts HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}"
        with socket.create_connection(host.split(":"), timeout=30) as slow:
            slow.sendall(f"{head}\r\nContent-Type: application/json\r\n\r\n".encode() + body[:5])
            os.kill(int((settings.build / "api.pid").read_text()), signal.SIGTERM)
            while httpx.get(f"{url}/healthz/ready", timeout=30).status_code == 200:
                pass
            live, forecast = (httpx.get(f"{url}{path}") for path in ("/healthz/live", "/v1/model"))
            slow.sendall(body[5:])
            answered = slow.recv(100)
        assert (live.status_code, forecast.status_code, forecast.headers["connection"]) == (
            200,
            200,
            "close",
        )
        assert answered.startswith(b"HTTP/1.1 200")
        assert gone(url)


def gone(url):
    """Wait until nobody answers any more."""
    with suppress(httpx.TransportError):
        for _ in range(1000):
            httpx.get(f"{url}/healthz/live", timeout=30)
        return False
    return True
