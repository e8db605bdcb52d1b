"""The connection to MLflow, quiet and quick to give up, and a model in its format."""

import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from salescast.errors import StoreUnavailableError

_QUIET = {
    "AWS_MAX_ATTEMPTS": "2",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # the default of 7 blocks for four minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_UV_AUTO_DETECT": "false",  # requirements are given, not guessed
    "PGCONNECT_TIMEOUT": "5",
}


def connect(uri: str) -> Any:
    """Return an MLflow client; use it within `outages`."""
    from mlflow import MlflowClient
    from mlflow.store.db import utils

    utils.MAX_RETRY_COUNT = 1  # no variable for it; ten attempts at a dead database take 100 s
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextmanager
def outages(uri: str) -> Iterator[None]:
    """Turn what MLflow, its database or the disk raise into StoreUnavailableError.

    Inside, MLflow sends no telemetry and gives up soon, unless the environment says otherwise.
    """
    for name, value in _QUIET.items():  # before the import, which starts its telemetry
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401 - with the environment set

    try:
        yield
    except _failures() as error:
        parts = urlsplit(uri)
        where = f"{parts.scheme} {parts.hostname or parts.path}"
        why = " ".join(str(getattr(error, "orig", None) or error).split())
        if parts.password:
            why = why.replace(parts.password, "***")
        raise StoreUnavailableError(
            f"the registry ({where}) failed; check stores.mlflow_uri or try again later: "
            f"{_brief(why)}"
        ) from error


def _failures() -> tuple[type[Exception], ...]:
    """Return the errors of MLflow and of its stores; those of S3 only where it is in use."""
    from mlflow import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    failures = (MlflowException, SQLAlchemyError, OSError)
    if "boto3" not in sys.modules:
        return failures
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    return (*failures, Boto3Error, BotoCoreError, ClientError)


def _brief(text: str, most: int = 150) -> str:
    return text if len(text) <= 2 * most else f"{text[:most]} … {text[-most:]}"


@contextmanager
def unless_exists() -> Iterator[None]:
    """Ignore that another process has created the same meanwhile."""
    from mlflow import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def measurements(
    metrics: Mapping[str, float], by_lead: Mapping[str, Mapping[int, float]], model_id: str
) -> list[Any]:
    """Return MLflow metrics: totals, also shown on the model, and those by lead as steps."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    totals = [Metric(name, value, now, 0, model_id=model_id) for name, value in metrics.items()]
    steps = [
        (name, lead, value) for name, leads in by_lead.items() for lead, value in leads.items()
    ]
    return totals + [Metric(name, value, now, lead) for name, lead, value in steps]


def write_folder(
    folder: Path,
    payload: Path,
    logged: Any,
    examples: tuple[pd.DataFrame, pd.DataFrame],
    requirements: Path | Sequence[str],
) -> None:
    """Write an MLflow Model: the payload with signature, input example and requirements.

    `examples` = (input rows, predictions). MLflow's own skops flavour would trust the types that
    the file lists; the loader module trusts ours.
    """
    from mlflow.models import Model, infer_signature
    from mlflow.pyfunc import save_model

    pip = str(requirements) if isinstance(requirements, Path) else list(requirements)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Hint: Inferred schema contains integer")  # meant so
        signature = infer_signature(*examples)
    save_model(
        folder,
        loader_module="salescast.registry.loader",
        data_path=str(payload),
        signature=signature,
        input_example=examples[0],
        pip_requirements=pip,
        mlflow_model=Model(
            artifact_path=logged.artifact_location,
            run_id=logged.source_run_id,
            model_uuid=logged.model_id,
            model_id=logged.model_id,
        ),
    )
