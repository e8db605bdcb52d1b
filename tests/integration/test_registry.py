"""Models are registered, promoted and read back without believing what lies in a file."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.preprocessing import FunctionTransformer

from salescast.errors import (
    ConfigError,
    DataQualityError,
    StoreUnavailableError,
)
from salescast.features.point_in_time import build, past
from salescast.models import make
from salescast.models.forecaster import forecast
from salescast.registry import Candidate, Registry, read_model, write_model
from tests.builders import FIRST, make_tables

ROWS = np.random.default_rng(1).random((200, 3))
REQUIREMENTS = ["scikit-learn", "skops"]


def make_payload(seed=1):
    """Return a payload with trees that know a category, an array, text and a number."""
    trees = HistGradientBoostingRegressor(
        loss="poisson", max_iter=3, categorical_features=[2], random_state=seed
    )
    rows = ROWS.copy()
    rows[:, 2] = rows[:, 2].round(1) * 10
    trees.fit(rows, ROWS.sum(axis=1))
    return {"trees": trees, "bias": np.array([0.1, seed]), "name": "test", "ratio": 0.1 + 0.2}


def make_candidate(key="k1", **values):
    """Return a candidate whose example is two rows."""
    example = pd.DataFrame({"store_id": ["s1", "s2"], "level": [1.5, 2.5]})
    usual = {
        "model": make_payload(),
        "params": {"seed": 1},
        "metrics": {"wape": 0.25},
        "metrics_by_lead": {"wape_by_lead": {1: 0.2, 14: 0.3}},
        "tags": {"train_key": key, "data_version": "abc.dir", "origin": "2024-03-01"},
        "artifacts": [],
        "input_example": example,
        "output_example": pd.DataFrame({"p50": [1.0, 2.0]}),
        "requirements": REQUIREMENTS,
    }
    return Candidate(**(usual | values))


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """URI of one MLflow database for all tests; each has a model name of its own."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture
def name():
    """Return a model name that no other test uses."""
    return f"model-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def registry(uri, name, tmp_path):
    """Return a registry without versions."""
    return Registry(uri, name, tmp_path / "artifacts")


def aliases(registry):
    """Return which version carries which alias."""
    names = ("champion", "challenger", "previous")
    found = {name: registry.version(name) for name in names}
    return {name: version.number for name, version in found.items() if version}


def test_importing_the_registry_does_not_import_mlflow():
    """It takes seconds, and the API needs it only when it loads a model."""
    code = "import sys, salescast.registry; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_empty_registry_has_no_versions(registry):
    """Neither by alias nor by number."""
    assert [registry.version(name) for name in ("champion", 1, "1")] == [None, None, None]


def test_a_logged_candidate_is_the_challenger(registry):
    """Found by alias and by number, with its tags."""
    made = registry.log(make_candidate())
    assert registry.version("challenger") == registry.version(1) == made
    assert made.tags["data_version"] == "abc.dir"


def test_a_model_comes_back_as_it_was(registry):
    """Predictions, arrays and numbers, bit for bit."""
    payload = make_payload()
    back = registry.model(registry.log(make_candidate(model=payload)))
    assert (back["trees"].predict(ROWS) == payload["trees"].predict(ROWS)).all()
    assert (back["bias"] == payload["bias"]).all()
    assert (back["name"], back["ratio"]) == ("test", 0.1 + 0.2)


def test_a_run_keeps_metrics_by_lead_params_and_tags(registry, uri):
    """As anyone sees them in MLflow."""
    from mlflow import MlflowClient

    made, client = registry.log(make_candidate()), MlflowClient(uri, uri)
    run = client.get_run(made.run_id)
    steps = client.get_metric_history(made.run_id, "wape_by_lead")
    assert (run.info.status, run.data.params) == ("FINISHED", {"seed": "1"})
    assert run.data.metrics["wape"] == 0.25
    assert {m.step: m.value for m in steps} == {1: 0.2, 14: 0.3}
    assert run.data.tags["data_version"] == "abc.dir"


def test_a_version_is_an_mlflow_model_with_signature_example_and_requirements(registry, tmp_path):
    """`mlflow models` finds what it needs."""
    from mlflow.models import Model

    registry.log(make_candidate())
    folder = next((tmp_path / "artifacts").rglob("MLmodel")).parent
    described = Model.load(folder)
    assert described.signature.inputs.input_names() == ["store_id", "level"]
    assert described.signature.outputs.input_names() == ["p50"]
    assert described.load_input_example(folder)["level"].tolist() == [1.5, 2.5]
    assert set(REQUIREMENTS) < set((folder / "requirements.txt").read_text().split())


def test_nothing_in_a_version_is_pickled(registry, tmp_path):
    """Not the model, not its description."""
    registry.log(make_candidate())
    names = {path.name for path in (tmp_path / "artifacts").rglob("*") if path.is_file()}
    assert "model.skops" in names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".joblib"))]


@pytest.mark.parametrize("kind", ["weekday_mean", "boosting", "integrated"])
def test_mlflow_itself_can_serve_a_registered_model(registry, tmp_path, kind):
    """Its own loader answers as our code does, with our list of types."""
    import mlflow.pyfunc

    tables, origin = make_tables(120), FIRST + pd.Timedelta(days=100)
    rows = build(tables, [*pd.date_range(origin - pd.Timedelta(days=40), origin, freq="5D")])
    params = {"iterations": 3, "learning_rate": 0.1, "max_leaf_nodes": 7}
    params |= {"min_samples_leaf": 20, "l2_regularization": 1.0}
    model = make(kind, params, 1).fit(rows, past(tables, origin))
    contract = {"quantiles": [0.1, 0.5], "critical": {"u1": 0.8, "u2": 0.9}}
    expected = forecast(model, rows.head(5), *contract.values())
    payload = {"model": model, "contract": contract}
    registry.log(make_candidate(model=payload, input_example=rows.head(5), output_example=expected))
    folder = next((tmp_path / "artifacts").rglob("MLmodel")).parent
    served = mlflow.pyfunc.load_model(str(folder)).predict(rows.head(5))
    pd.testing.assert_frame_equal(served, expected, check_exact=True)


def test_artifacts_come_back_by_name(registry, tmp_path):
    """Files and folders, also those added later."""
    (tmp_path / "plots").mkdir()
    for name in ("scorecard.json", "decision.json", "plots/by_lead.csv"):
        (tmp_path / name).write_text(name)
    given = [tmp_path / "scorecard.json", tmp_path / "plots"]
    made = registry.log(make_candidate(artifacts=given))
    registry.log_artifact(made, tmp_path / "decision.json")
    found = [registry.artifact(made, name) for name in ("scorecard.json", "decision.json")]
    assert [path.read_text() for path in found] == ["scorecard.json", "decision.json"]
    assert (registry.artifact(made, "plots") / "by_lead.csv").exists()


def test_a_missing_artifact_is_named(registry):
    """Not an empty path."""
    made = registry.log(make_candidate())
    with pytest.raises(StoreUnavailableError, match=r"decision\.json"):
        registry.artifact(made, "decision.json").read_text()


def test_a_tag_is_seen_on_the_version(registry):
    """The gate leaves its verdict there."""
    made = registry.log(make_candidate())
    registry.tag(made, "gate", "refuse")
    assert registry.version(1).tags["gate"] == "refuse"


def test_the_same_training_is_registered_once(registry):
    """The key says what went in; another key is another version."""
    numbers = [registry.log(make_candidate(key)).number for key in ("k1", "k1", "k2", "k1")]
    assert numbers == [1, 1, 2, 1]


def test_logging_the_champion_again_does_not_make_it_a_challenger(registry):
    """A repeated run has nothing new to offer."""
    registry.promote(registry.log(make_candidate()))
    registry.log(make_candidate())
    assert aliases(registry) == {"champion": 1}


def test_promotion_keeps_the_previous_champion(registry):
    """So that there is a way back."""
    for key in ("k1", "k2"):
        registry.promote(registry.log(make_candidate(key)))
    assert aliases(registry) == {"champion": 2, "previous": 1}


def test_promoting_again_changes_nothing(registry):
    """By version or by number: a retry does not lose the previous champion."""
    for key in ("k1", "k2"):
        registry.promote(registry.log(make_candidate(key)))
    registry.promote(2)
    assert aliases(registry) == {"champion": 2, "previous": 1}


def test_promotion_leaves_another_challenger_waiting(registry):
    """A newer one is not judged by it."""
    first = registry.log(make_candidate("k1"))
    registry.log(make_candidate("k2"))
    registry.promote(first)
    assert aliases(registry) == {"champion": 1, "challenger": 2}


def test_the_aliases_can_be_set_as_the_journal_says(registry):
    """Also where promotions in between never reached the registry."""
    for key in ("k1", "k2", "k3"):
        registry.promote(registry.log(make_candidate(key)))
    registry.promote(1, previous=2)
    assert aliases(registry) == {"champion": 1, "previous": 2}


def _flip(content: bytes) -> bytes:
    return content[:300] + bytes([content[300] ^ 1]) + content[301:]


@pytest.mark.parametrize("harm", [_flip, lambda content: content[:-100], lambda _: b""])
def test_a_damaged_model_is_not_loaded(registry, tmp_path, harm):
    """Its digest is not the registered one."""
    made = registry.log(make_candidate())
    path = next((tmp_path / "artifacts").rglob("model.skops"))
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(DataQualityError, match="damaged or swapped"):
        registry.model(made)


def test_a_version_without_a_digest_is_not_loaded(registry, uri, name):
    """Somebody registered it past us."""
    from mlflow import MlflowClient

    made = registry.log(make_candidate())
    MlflowClient(uri, uri).delete_model_version_tag(name, "1", "model_sha256")
    with pytest.raises(DataQualityError, match="SHA-256"):
        registry.model(made)


def test_a_type_nobody_reviewed_is_not_written(tmp_path):
    """And no file is left behind."""
    payload = {"trees": FunctionTransformer(func=os.getcwd)}
    with pytest.raises(DataQualityError, match="getcwd"):
        write_model(tmp_path / "model.skops", payload)
    assert not any(tmp_path.iterdir())


def test_a_type_nobody_reviewed_is_not_loaded(tmp_path):
    """Whoever wrote the file."""
    path = tmp_path / "model.skops"
    skops.io.dump({"trees": FunctionTransformer(func=os.system)}, path)
    with pytest.raises(DataQualityError, match="system"):
        read_model(path)


@pytest.mark.parametrize("content", [b"", b"\x80\x04cos\nsystem\n", b"PK\x03\x04" + b"0" * 99])
def test_a_file_that_is_no_model_is_named(tmp_path, content):
    """Empty, a pickle, half an archive."""
    (tmp_path / "model.skops").write_bytes(content)
    with pytest.raises(DataQualityError, match=r"model\.skops cannot be read as a model"):
        read_model(tmp_path / "model.skops")


def test_a_payload_must_be_a_dictionary(tmp_path):
    """A bare list has no contract."""
    skops.io.dump([1, 2], tmp_path / "model.skops")
    with pytest.raises(DataQualityError, match="holds a list"):
        read_model(tmp_path / "model.skops")


class Deadly(Sequence):
    """Artifacts that kill the process that logs them."""

    def __len__(self):
        """Return that there is something to log."""
        return 1

    def __getitem__(self, index):
        """Die as under `kill -9`: nothing is cleaned up."""
        os.kill(os.getpid(), signal.SIGKILL)


def log_and_die(uri, name, folder):
    """Be killed in the middle of logging."""
    Registry(uri, name, folder).log(make_candidate(artifacts=Deadly()))


def test_a_killed_run_is_repeated_and_reaped(registry, uri, name, tmp_path):
    """It left no version; the next attempt makes one, and its remains are marked as killed."""
    folder = str(tmp_path / "artifacts")
    code = (
        "from pathlib import Path; from tests.integration.test_registry import log_and_die; "
        f"log_and_die({uri!r}, {name!r}, Path({folder!r}))"
    )
    died = subprocess.run([sys.executable, "-c", code], check=False).returncode
    before = registry.version("challenger")
    made = registry.log(make_candidate())
    assert (died, before, made.number) == (-signal.SIGKILL, None, 1)
    assert [registry.reap(hours=1), registry.reap(hours=-1), registry.reap(hours=-1)] == [0, 1, 0]


def test_a_failed_run_says_so(registry, uri, name, tmp_path):
    """It is not left running, and no version appears."""
    from mlflow import MlflowClient

    with pytest.raises(StoreUnavailableError, match=r"gone\.json"):
        registry.log(make_candidate(artifacts=[tmp_path / "gone.json"]))
    client = MlflowClient(uri, uri)
    experiment = client.get_experiment_by_name(name).experiment_id
    assert [run.info.status for run in client.search_runs([experiment])] == ["FAILED"]
    assert registry.version(1) is None


@pytest.mark.parametrize(
    "dead",
    ["http://127.0.0.1:9", "postgresql://user:secret@127.0.0.1:9/mlflow"],
)
def test_a_registry_that_does_not_answer_is_named_without_its_password(dead, tmp_path):
    """Soon: MLflow's own patience is four minutes, and this suite would time out."""
    with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1") as raised:
        Registry(dead, "model", tmp_path).version("champion")
    assert "secret" not in str(raised.value)


def test_a_database_server_needs_a_folder_for_artifacts():
    """Otherwise files would land wherever the program was started."""
    with pytest.raises(ConfigError, match="folder"):
        Registry("postgresql://127.0.0.1/mlflow", "model")


def test_two_registries_in_one_process_do_not_mix(tmp_path, registry, name):
    """MLflow's global tracking URI is not touched."""
    registry.log(make_candidate())
    other = Registry(f"sqlite:///{tmp_path / 'other.db'}", name)
    assert other.log(make_candidate("k2")).number == 1
    assert registry.log(make_candidate("k3")).number == 2
    assert "MLFLOW_TRACKING_URI" not in os.environ


@pytest.fixture
def server(uri, tmp_path):
    """Run a real MLflow server; return its URI."""
    Registry(uri, "made-before-the-server", tmp_path).version("champion")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--artifacts-destination", str(tmp_path / "served"), "--port", str(port)]
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--workers", "1"],
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield _answering(f"http://127.0.0.1:{port}", process)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def _answering(url, process):
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return url
        except OSError:
            assert process.poll() is None, "the MLflow server ended"
            time.sleep(0.1)
    raise AssertionError("the MLflow server does not answer")


def test_an_mlflow_server_does_as_well(server, tmp_path):
    """Log, promote, read back and roll back over HTTP."""
    registry = Registry(server, f"model-{uuid.uuid4().hex[:8]}", tmp_path / "cache")
    (tmp_path / "scorecard.json").write_text("{}")
    for key in ("k1", "k2", "k2"):
        made = registry.log(make_candidate(key, artifacts=[tmp_path / "scorecard.json"]))
        registry.promote(made)
    assert aliases(registry) == {"champion": 2, "previous": 1}
    assert registry.model(made)["ratio"] == 0.1 + 0.2
    assert registry.artifact(made, "scorecard.json").read_text() == "{}"
    registry.promote(1, previous=2)
    assert aliases(registry) == {"champion": 1, "previous": 2}
    assert registry.reap() == 0


def test_postgresql_does_as_well(postgres_url, tmp_path):
    """MLflow's tables lie in a database server, its files in a folder."""
    url = postgres_url.replace("postgresql+psycopg://", "postgresql://")
    registry = Registry(url, "model", tmp_path)
    registry.promote(registry.log(make_candidate()))
    assert registry.model(registry.version("champion"))["name"] == "test"
