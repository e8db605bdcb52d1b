"""Runs, versions and aliases in MLflow.

A version carries the digest of its model and the tags of its candidate (data version, git commit,
verdict …). `champion` serves, `challenger` waits for the gate, `previous` served before.
"""

import hashlib
import json
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from salescast.errors import ConfigError
from salescast.registry import runs
from salescast.registry.connection import (
    connect,
    measurements,
    outages,
    unless_exists,
    write_folder,
)
from salescast.release.payload import checked, parse_model, write_model

MODEL_FILE = "model.skops"
DIGEST_TAG = "model_sha256"
KEY_TAG = "train_key"


@dataclass(frozen=True)
class Candidate:
    """What one training run leaves behind.

    The tag `train_key` names what went into it: the same key is never registered twice.
    `metrics_by_lead`: metric → lead time in days → value. `requirements`: a file or a list.
    """

    model: Mapping[str, Any]
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    metrics_by_lead: Mapping[str, Mapping[int, float]]
    tags: Mapping[str, str]
    artifacts: Sequence[Path]
    input_example: pd.DataFrame
    output_example: pd.DataFrame
    requirements: Path | Sequence[str]


@dataclass(frozen=True)
class Version:
    """A registered model. `created_at` is naive UTC."""

    number: int
    run_id: str
    tags: Mapping[str, str]
    created_at: datetime


class Registry:
    """The versions of one model.

    Every method raises StoreUnavailableError, within seconds, when MLflow does not answer.
    """

    def __init__(
        self,
        uri: str,
        name: str,
        artifacts: Path | None = None,
        artifacts_uri: str = "",
        trusted: Collection[str] = (),
    ) -> None:
        """Name the registry; nothing is contacted yet.

        `uri`: sqlite:///path, postgresql://… or the http(s) URI of an MLflow server. `artifacts`:
        where files go (default: next to the SQLite file); with a server, where downloads go.
        `artifacts_uri`: where files go instead, such as s3://bucket/path; a server chooses itself.
        `trusted`: classes a model may hold beyond the reviewed ones.
        """
        self._uri, self._name, self._trusted = uri, name, tuple(trusted)
        database = Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite") else None
        self._served = uri.startswith(("http://", "https://"))
        self._remote = self._served or urlsplit(artifacts_uri).scheme not in {"", "file"}
        if artifacts is None and database is None and not self._remote:
            raise ConfigError("a registry in a database needs a folder for its artifacts")
        self._folder = artifacts or (database.with_name("mlartifacts") if database else None)
        folder_uri = self._folder.resolve().as_uri() if self._folder else None
        self._artifacts_uri = artifacts_uri or folder_uri

    @cached_property
    def _client(self) -> Any:
        return connect(self._uri)

    def log(self, candidate: Candidate, parent: str | None = None) -> Version:
        """Record a run, register its model and give it the alias `challenger`.

        `parent`: the id of a run that this one belongs to. A candidate whose train_key is
        registered already is returned as it is, so that a killed run can be repeated.
        """
        with outages(self._uri):
            version = self._registered(candidate.tags.get(KEY_TAG)) or self._log(candidate, parent)
            if self._aliases().get("champion") != version.number:
                self._alias("challenger", version.number)
            return version

    def log_search(self, trials: Sequence[tuple[Mapping[str, float], float]], name: str) -> str:
        """Record a search as one run with a nested run per (params, cost); return its id."""
        with outages(self._uri):
            return runs.log_trials(self._client, self._experiment(), trials, name)

    def tried(self) -> list[runs.Tried]:
        """Return the latest runs that were examined or searched, newest first."""
        with outages(self._uri):
            return runs.tried(self._client, self._experiment())

    def _registered(self, key: str | None) -> Version | None:
        return None if key is None else self._find(f"tag.{KEY_TAG} = '{key}'")

    def _log(self, candidate: Candidate, parent: str | None) -> Version:
        tags = dict(candidate.tags) | ({"mlflow.parentRunId": parent} if parent else {})
        title = f"{self._name} {candidate.tags.get('origin', '')}".strip()
        run = self._client.create_run(self._experiment(), tags=tags, run_name=title).info
        try:
            model, digest = self._log_model(candidate, run)
            self._log_record(candidate, run.run_id, model.model_id)
            self._client.finalize_logged_model(model.model_id, "READY")
            self._client.set_terminated(run.run_id, "FINISHED")
        except BaseException:
            self._client.set_terminated(run.run_id, "FAILED")
            raise
        # The version is created last, with its tags: after a kill before that it is logged again.
        created = self._client.create_model_version(
            self._name,
            model.artifact_location,
            run.run_id,
            tags=dict(candidate.tags) | {DIGEST_TAG: digest},
            model_id=model.model_id,
        )
        linked = json.dumps([{"name": self._name, "version": created.version}])
        self._client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": linked})
        return _version(created)

    def _log_model(self, candidate: Candidate, run: Any) -> tuple[Any, str]:
        params = {name: str(value) for name, value in candidate.params.items()}
        model = self._client.create_logged_model(
            run.experiment_id, self._name, run.run_id, params=params, model_type="skops"
        )
        with tempfile.TemporaryDirectory() as folder:
            payload = Path(folder, MODEL_FILE)
            write_model(payload, candidate.model, self._trusted)
            examples = candidate.input_example, candidate.output_example
            write_folder(Path(folder, "model"), payload, model, examples, candidate.requirements)
            self._client.log_model_artifacts(model.model_id, str(Path(folder, "model")))
            return model, hashlib.sha256(payload.read_bytes()).hexdigest()

    def _log_record(self, candidate: Candidate, run_id: str, model_id: str) -> None:
        from mlflow.entities import LoggedModelOutput, Param

        self._client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
        params = [Param(name, str(value)) for name, value in candidate.params.items()]
        metrics = measurements(candidate.metrics, candidate.metrics_by_lead, model_id)
        self._client.log_batch(run_id, metrics=metrics, params=params)
        for path in candidate.artifacts:
            self._log_path(run_id, path)

    def _log_path(self, run_id: str, path: Path) -> None:
        if path.is_dir():
            self._client.log_artifacts(run_id, str(path), path.name)
        else:
            self._client.log_artifact(run_id, str(path))

    def version(self, name: str | int) -> Version | None:
        """Return a version by its alias or number, or None."""
        with outages(self._uri):
            number = int(name) if str(name).isdigit() else self._aliases().get(str(name))
            return None if number is None else self._find(f"version_number = '{number}'")

    def _find(self, condition: str) -> Version | None:
        query = f"name = '{self._name}' and {condition}"
        found = self._client.search_model_versions(query, max_results=1)
        return _version(found[0]) if found else None

    def model(self, version: Version | int) -> dict[str, Any]:
        """Return the payload that was logged.

        Raises DataQualityError where its digest is not the registered one or it holds a type that
        is not on the reviewed list.
        """
        return parse_model(self.model_file(version), MODEL_FILE, self._trusted)

    def model_file(self, version: Version | int) -> bytes:
        """Return the file of the payload; raise DataQualityError where its digest is another."""
        with outages(self._uri):
            number = str(_number(version))
            entity = self._client.get_model_version(self._name, number)
            folder_uri = self._client.get_model_version_download_uri(self._name, number)
            with tempfile.TemporaryDirectory() as folder:
                path = self._download(f"{folder_uri}/data/{MODEL_FILE}", Path(folder))
                return checked(path, entity.tags.get(DIGEST_TAG, "none registered"))

    def artifact(self, version: Version, name: str) -> Path:
        """Return the path of an artifact of the version's run: read it, do not change it."""
        with outages(self._uri):
            root = self._client.get_run(version.run_id).info.artifact_uri
            folder = (self._folder or Path(tempfile.mkdtemp())) / "downloads" / version.run_id
            return self._download(f"{root}/{name}", folder)

    def _download(self, uri: str, folder: Path) -> Path:
        from mlflow.artifacts import download_artifacts

        local = not self._remote
        if not local:
            folder.mkdir(parents=True, exist_ok=True)
        path = download_artifacts(
            artifact_uri=uri, dst_path=None if local else str(folder), tracking_uri=self._uri
        )
        return Path(path)

    def promote(self, version: Version | int, previous: int | None = None) -> None:
        """Make the version champion; doing it again changes nothing.

        `previous` (default: the champion until now) gets the alias `previous`. The last writer
        wins here: the ledger's journal of promotions decides who may write.
        """
        number = _number(version)
        with outages(self._uri):
            aliases = self._aliases()
            before = aliases.get("champion") if previous is None else previous
            if before not in {None, number, aliases.get("previous")}:
                self._alias("previous", before)
            if aliases.get("champion") != number:
                self._alias("champion", number)
            if aliases.get("challenger") == number:
                self._client.delete_registered_model_alias(self._name, "challenger")

    def log_artifact(self, version: Version, path: Path) -> None:
        """Add a file or a folder to the version's run."""
        with outages(self._uri):
            self._log_path(version.run_id, path)

    def tag(self, version: Version, key: str, value: str) -> None:
        """Set a tag on the version and on its run."""
        with outages(self._uri):
            self._client.set_model_version_tag(self._name, str(version.number), key, value)
            self._client.set_tag(version.run_id, key, value)

    def stalled(self, hours: float = 6.0) -> list[str]:
        """Return the ids of runs that began more than `hours` ago and never ended."""
        with outages(self._uri):
            return runs.stalled(self._client, self._experiment(), hours)

    def reap(self, hours: float = 6.0) -> int:
        """Mark the stalled runs as killed; return how many there were."""
        dead = self.stalled(hours)
        with outages(self._uri):
            for run_id in dead:
                self._client.set_terminated(run_id, "KILLED")
        return len(dead)

    def _aliases(self) -> dict[str, int]:
        found = self._client.search_registered_models(f"name = '{self._name}'")
        return {alias: int(number) for model in found for alias, number in model.aliases.items()}

    def _alias(self, alias: str, number: int | None) -> None:
        self._client.set_registered_model_alias(self._name, alias, str(number))

    def _experiment(self) -> str:
        """Return the experiment's id; it and the registered model are made where missing."""
        found = self._client.get_experiment_by_name(self._name)
        if found is None:
            location = None if self._served else self._artifacts_uri
            with unless_exists():
                self._client.create_registered_model(self._name)
            with unless_exists():
                self._client.create_experiment(self._name, location)
            found = self._client.get_experiment_by_name(self._name)
        return str(found.experiment_id)


def _number(version: Version | int) -> int:
    return version.number if isinstance(version, Version) else version


def _version(entity: Any) -> Version:
    created = datetime.fromtimestamp(entity.creation_timestamp / 1000, UTC).replace(tzinfo=None)
    return Version(int(entity.version), entity.run_id, dict(entity.tags), created)
