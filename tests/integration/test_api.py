"""The API over real parts: a registry, stored tables, a ledger, and a process with a socket."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pandas as pd
import pytest

from api.main import create_app
from api.serving import Serving
from salescast import store
from salescast.errors import NoChampionError, StoreUnavailableError
from salescast.features import build, past
from salescast.ledger import Ledger
from salescast.model import as_payload, fit
from salescast.registry import Candidate, Registry
from salescast.settings import CONFIG_VARIABLE, read_settings
from salescast.stages.operate import forecast
from tests.builders import FIRST, make_sales, make_tables
from tests.conftest import ROOT
from tests.unit.test_api_routes import ASK, JSON, ask, check_problem

ORIGIN = FIRST + pd.Timedelta(days=199)
CONTRACT = {
    "origin": f"{ORIGIN:%Y-%m-%d}",
    "horizon": 14,
    "weather": "issued",
    "quantiles": [0.05, 0.1, 0.5, 0.9],
    "critical": {"u1": 0.8, "u2": 0.9},
}


def make_workspace(folder: Path):
    """Return the settings of an empty workspace."""
    folder.mkdir(parents=True)
    shutil.copyfile(ROOT / "config.toml", folder / "config.toml")
    (folder / "build").mkdir()
    return read_settings(folder / "config.toml")


def registry_of(settings):
    """Return the registry of a workspace."""
    return Registry(settings.mlflow_uri, settings.product.model, settings.build / "mlartifacts")


def register(settings, kind):
    """Fit a quick model of `kind` and register it as the challenger."""
    tables = store.read_all(settings.data)
    rows = build(tables, pd.date_range(ORIGIN - pd.Timedelta(days=60), ORIGIN, freq="4D"))
    rows, happened = rows[rows["origin"] < ORIGIN], past(tables, ORIGIN)
    params = settings.model.model_dump(exclude={"kind", "seed"}) | {"iterations": 5}
    payload = {"model": as_payload(fit(rows, happened, kind, params, 1)), "contract": CONTRACT}
    example = rows.head(3)[["mean" if "mean" in rows else "level"]]
    tags = {"data_version": store.data_version(settings.data), "train_key": kind}
    made = Candidate(payload, {}, {}, {}, tags, [], example, example, ["numpy"])
    return registry_of(settings).log(made)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Return a workspace with stored tables and a champion."""
    settings = make_workspace(tmp_path_factory.mktemp("api") / "workspace")
    store.append(settings.data, make_tables())
    registry_of(settings).promote(register(settings, "boosting"))
    return settings


@contextmanager
def serve(settings):
    """Run the API as a process of its own, and yield its URL once it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "api.main:create_app"]
    command += ["--port", str(port), "--log-level", "warning"]
    environment = os.environ | {CONFIG_VARIABLE: str(settings.root / "config.toml")}
    with (settings.build / "api.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stderr=log, cwd=ROOT)
        try:
            wait(process, f"http://127.0.0.1:{port}/healthz/ready")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait(process, url):
    """Return once `url` answers 200."""
    for _ in range(600):
        assert process.poll() is None, "the API ended by itself"
        with suppress(httpx.TransportError):
            if httpx.get(url, timeout=5).status_code == 200:
                return
        time.sleep(0.2)
    raise AssertionError("the API did not become ready")


@pytest.fixture(scope="module")
def url(settings):
    """Return the URL of the API as a process of its own."""
    with serve(settings) as url:
        yield url


def test_the_numbers_are_the_batch_forecasts_bit_for_bit(settings, url):
    """Whoever asks over HTTP hears what the batch wrote, receipt and all."""
    forecast(settings)
    batch = pd.read_parquet(settings.build / "forecasts.parquet")
    keys = batch[["store_id", "item_id"]].drop_duplicates().to_dict("records")
    body = httpx.post(f"{url}/v1/forecasts", json={"series": keys}).json()
    served = pd.DataFrame(
        {"receipt_id": one["receipt_id"]} | day | day["quantiles"]
        for one in body["forecasts"]
        for day in one["days"]
    )
    numbers = ["mean", "p05", "p10", "p50", "p90", "stock_target"]
    assert served["receipt_id"].tolist() == batch["receipt_id"].tolist()
    assert served["date"].tolist() == batch["date"].dt.strftime("%Y-%m-%d").tolist()
    assert served[numbers].to_numpy().tobytes() == batch[numbers].to_numpy().tobytes()


def test_each_receipt_stands_in_the_ledger(settings, url):
    """What was answered can be looked up later."""
    one = httpx.post(f"{url}/v1/forecasts", json=ASK).json()["forecasts"][0]
    with Ledger(settings.ledger_url) as ledger:
        kept = ledger.receipt(one["receipt_id"])
    assert kept["mean"].tolist() == [day["mean"] for day in one["days"]]


def test_the_model_is_described_with_its_lineage(settings, url):
    """The version, and the data it learned from."""
    found = httpx.get(f"{url}/v1/model").json()
    assert found["trained_on"] == store.data_version(settings.data)
    assert (found["model_version"], found["series"]) == ("1", 4)


def test_too_large_a_body_is_refused_over_the_socket(url):
    """And the service goes on."""
    answer = httpx.post(f"{url}/v1/forecasts", content=b" " * 600_000, headers=JSON)
    assert answer.status_code == 413
    check_problem(answer)
    assert httpx.get(f"{url}/healthz/ready").status_code == 200


def test_requests_are_logged_as_json_with_their_id(settings, url):
    """A line a request, on stderr; probes are left out."""
    for request_id in ("find-me", "the-next"):  # answered, so the one before is logged
        httpx.get(f"{url}/v1/series", headers={"X-Request-ID": request_id})
    log = (settings.build / "api.log").read_text("utf-8")
    line = next(line for line in log.splitlines() if "find-me" in line)
    assert '"path": "/v1/series", "status": 200' in line


def named(settings, model):
    """Return the settings with another name in the registry: one that has no champion yet."""
    return settings.model_copy(
        update={"product": settings.product.model_copy(update={"model": model})}
    )


def test_without_a_champion_nothing_is_served_but_life(settings):
    """The service starts, says what is missing, and waits."""
    app = create_app(named(settings, "nobody"))
    app.state.serving.refresh()
    answer = ask(app, "GET", "/healthz/ready")
    assert (answer.status_code, answer.json()["title"]) == (503, "No champion")
    assert ask(app, "GET", "/healthz/live").status_code == 200


def test_an_unreachable_registry_is_said_not_raised(tmp_path):
    """No crash, no restart loop: not ready, and when to come back."""
    settings = make_workspace(tmp_path / "new")
    (settings.build / "mlflow.db").mkdir()
    app = create_app(settings)
    app.state.serving.refresh()
    answer = ask(app, "GET", "/v1/model")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["type"] == "/docs#store-unavailable"


def make_copy(settings, folder):
    """Return a workspace of its own with the same champion."""
    shutil.copytree(settings.root, folder)
    return read_settings(folder / "config.toml")


def test_a_promoted_model_and_new_data_are_served_without_a_restart(settings, tmp_path):
    """Champion and data are looked at again and again; each change replaces the snapshot."""
    copy = make_copy(settings, tmp_path / "copy")
    serving = Serving(copy)
    serving.refresh()
    first = serving.current()
    registry_of(copy).promote(register(copy, "weekday_mean"))
    serving.refresh()
    second = serving.current()
    store.append(copy.data, {"sales": make_sales(201)})
    serving.refresh()
    third = serving.current()
    serving.refresh()
    assert (first.provenance["model_version"], second.provenance["model_version"]) == ("1", "2")
    assert pd.Timestamp(third.provenance["origin"]) == ORIGIN + pd.Timedelta(days=1)
    assert serving.current() is third


def test_what_is_served_stays_served_while_the_registry_is_away(settings, tmp_path):
    """An outage behind the service is no outage of the service."""
    copy = make_copy(settings, tmp_path / "copy")
    serving = Serving(copy)
    serving.refresh()
    served = serving.current()
    shutil.rmtree(copy.data)
    serving.refresh()
    assert serving.current() is served


def test_before_the_first_load_the_service_is_not_ready(settings):
    """Nothing is contacted while the application is made."""
    with pytest.raises(StoreUnavailableError, match="loaded"):
        Serving(settings).current()


def test_an_unready_service_becomes_ready_by_itself(settings):
    """The first promotion is noticed without a restart."""
    settings = named(settings, "newcomer")
    serving = Serving(settings)
    serving.refresh()
    with pytest.raises(NoChampionError):
        serving.current()
    registry_of(settings).promote(register(settings, "weekday_mean"))
    serving.refresh()
    assert serving.current().provenance["model_version"] == "1"
