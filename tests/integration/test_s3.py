"""S3 holds DVC's remote and MLflow's artifacts: a real server on loopback, no network."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from salescast.data import store, versions
from salescast.errors import StoreUnavailableError
from salescast.ledger.ledger import Ledger
from salescast.settings import Settings, read_settings
from salescast.stages import STAGES
from salescast.stages.configured import open_registry
from salescast.stages.promotion import promote
from tests.builders import make_tables
from tests.integration.test_promotion import log_version
from tests.workspaces import make_workspace

BUCKET = "umbrellas"
KNOWN = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Start a server that speaks S3, with an empty bucket, and let the environment name it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        server.start()
        url = "http://{}:{}".format(*server.get_host_and_port())
        named = {"MLFLOW_S3_ENDPOINT_URL": url, "AWS_ENDPOINT_URL": url}
        for name, value in (KNOWN | named).items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield url
        server.stop()


def _stored(prefix: str) -> list[str]:
    found = boto3.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [one["Key"] for one in found.get("Contents", [])]


@pytest.fixture
def pushed(endpoint: str, tmp_path: Path) -> Path:
    """Return a workspace whose data lie in S3 alone, as on a fresh clone."""
    store.append(tmp_path / "checkout" / "data", make_tables(40))
    workspace = tmp_path / "work"
    versions.init_workspace(workspace, tmp_path / "checkout")
    config = workspace / ".dvc" / "config"
    own_url = f"url = s3://{BUCKET}/{tmp_path.name}\n    endpointurl = {endpoint}"
    config.write_text(config.read_text().replace("url = ../remote", own_url))
    versions.commit_version(workspace)
    shutil.rmtree(workspace / "data")
    shutil.rmtree(workspace / ".dvc" / "cache")
    return workspace


def test_data_are_pushed_to_s3_and_pulled_from_there(pushed: Path) -> None:
    """The version is pinned in git, the bytes come from the bucket."""
    assert versions.pull(pushed) == versions.pinned_version(pushed)
    assert len(store.read(pushed / "data", "sales")) == 160


def test_what_was_damaged_in_s3_is_not_pulled(pushed: Path, tmp_path: Path) -> None:
    """The remote is verified, as one in a folder is."""
    keys = [key for key in _stored(tmp_path.name) if not key.endswith(".dir")]
    for key in keys:
        boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"flipped")
    with pytest.raises(StoreUnavailableError):
        versions.pull(pushed)


@pytest.fixture(scope="module")
def shop(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return a workspace with tables and a version whose files lie in the bucket."""
    root = make_workspace(tmp_path_factory.mktemp("s3") / "shop", {})
    config = root / "config.toml"
    config.write_text(
        config.read_text().replace('artifacts = ""', f'artifacts = "s3://{BUCKET}/m"')
    )
    store.append(root / "data", make_tables(200))
    settings = read_settings(config)
    log_version(settings, 1)
    return settings


def test_a_model_is_registered_in_s3_promoted_from_there_and_forecasts(shop: Settings) -> None:
    """No file of it is taken from this machine."""
    promote(shop, 1)
    result = STAGES["forecast"](shop)
    with Ledger(shop.ledger_url) as ledger:
        served = ledger.forecasts()
    assert (result["series"], len(served)) == (4, 56)
    assert set(served["model_version"]) == {"1"}
    assert any(key.endswith("model.skops") for key in _stored("m/"))
    assert [path for path in shop.artifacts.rglob("MLmodel") if "downloads" not in path.parts] == []


def test_a_bucket_that_does_not_answer_is_an_outage(
    shop: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the registry; a flow waits and tries again."""
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreUnavailableError, match="registry"):
        open_registry(shop).model(1)
