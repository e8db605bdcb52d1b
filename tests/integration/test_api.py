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

from api.serving import Serving
from salescast.data import store
from salescast.ledger.ledger import Ledger
from salescast.release import Releases
from salescast.settings import CONFIG_VARIABLE, read_settings
from salescast.stages.forecasting import forecast
from tests.builders import make_sales, make_tables
from tests.conftest import ROOT
from tests.releases import ORIGIN, release
from tests.serving import ASK, JSON, check_problem


def make_workspace(folder: Path):
    """Return the settings of an empty workspace."""
    folder.mkdir(parents=True)
    shutil.copyfile(ROOT / "config.toml", folder / "config.toml")
    (folder / "build").mkdir()
    return read_settings(folder / "config.toml")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Return a workspace with stored tables and a champion."""
    settings = make_workspace(tmp_path_factory.mktemp("api") / "workspace")
    store.append(settings.data, make_tables())
    release(settings, "boosting")
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
        (settings.build / "api.pid").write_text(str(process.pid))
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
    assert (found["trained_on"], found["degraded"]) == ("a.dir", [])
    assert found["release"] == Releases(settings.releases).champion().digest
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


def test_a_promoted_model_and_new_data_are_served_without_a_restart(settings, tmp_path):
    """Release and data are looked at again and again; each change replaces the snapshot."""
    copy = make_copy(settings, tmp_path / "copy")
    serving = Serving(copy)
    serving.refresh()
    first = serving.current()
    release(copy, "weekday_mean", "2")
    serving.refresh()
    second = serving.current()
    store.append(copy.data, {"sales": make_sales(201)})
    serving.refresh()
    third = serving.current()
    serving.refresh()
    assert (first.provenance["model_version"], second.provenance["model_version"]) == ("1", "2")
    assert pd.Timestamp(third.provenance["origin"]) == ORIGIN + pd.Timedelta(days=1)
    assert serving.current() is third


def make_copy(settings, folder):
    """Return a workspace of its own with the same champion."""
    shutil.copytree(settings.root, folder)
    return read_settings(folder / "config.toml")


def test_serving_imports_neither_mlflow_nor_training_code(settings):
    """A service starts in seconds and holds what it needs."""
    code = (
        "import sys, api.main, api.serving; from salescast.settings import read_settings; "
        "serving = api.serving.Serving(read_settings()); serving.refresh(); serving.current(); "
        "heavy = {'mlflow', 'prefect', 'dvc', 'great_expectations', 'salescast.stages'}; "
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    environment = os.environ | {CONFIG_VARIABLE: str(settings.root / "config.toml")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, check=False)
    assert done.returncode == 0
