"""Checks of what the workspace keeps, and of the servers it keeps it on."""

import configparser
import hashlib
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from salescast.data import versions
from salescast.doctor.machine import Finding, listens
from salescast.errors import SalescastError
from salescast.settings import Settings
from salescast.stages.configured import open_registry

STALE_HOURS = 6.0  # a training run takes minutes
PORTS = {"postgresql": 5432, "http": 80, "https": 443}


def data(settings: Settings) -> Finding:
    """Check that `data/` is the version that `data.dvc` pins."""
    pinned = versions.pinned_version(settings.root)
    if pinned is None:
        return Finding("no data.dvc: nothing is pinned")
    if not settings.data.is_dir():
        return Finding("data/ is not pulled yet: `dvc pull data.dvc`, or `make run` does")
    found = versions.data_version(settings.data)
    if found == pinned:
        return Finding(f"version {pinned}, as pinned")
    fix = "keep it: salescast stage version; or go back: dvc checkout --force data.dvc"
    return Finding(f"data/ is {found}, data.dvc pins {pinned}", fix)


def dvc_lock(settings: Settings) -> Finding:
    """Check that DVC can read its lock, which an interrupted DVC may leave empty."""
    if versions.has_damaged_lock(settings.root):
        return Finding("an interrupted DVC left a damaged lock", f"rm {versions.LOCK}")
    return Finding("DVC's lock is readable, or there is none")


def remote(settings: Settings) -> Finding:
    """Check that DVC verifies what it pulls, and that each file of a local remote is intact."""
    config = settings.root / ".dvc" / "config"
    if not config.exists():
        return Finding("no DVC in this workspace")
    parser = configparser.ConfigParser()
    parser.read([config, config.with_name("config.local")], encoding="utf-8")
    name = parser.get("core", "remote", fallback="")
    if not name:
        return Finding("DVC has no default remote", "dvc remote add --default NAME URL")
    section = f"'remote \"{name}\"'"
    if not parser.getboolean(section, "verify", fallback=False):
        fix = f"dvc remote modify {name} verify true"
        return Finding(f"a damaged file in {name} would be pulled unnoticed", fix)
    url = parser.get(section, "url", fallback="")
    if "://" in url:
        return Finding(f"{name} is verified when pulled")
    damaged = _damaged((config.parent / url).resolve())
    if damaged:
        fix = "remove them there, then `dvc push` from a checkout that has them"
        return Finding(f"{name} has damaged {', '.join(damaged[:3])}", fix)
    return Finding(f"every file of {name} is intact")


def _damaged(folder: Path) -> list[str]:
    # A file is named after its MD5: two digits, then the rest; a listing ends in .dir.
    files = (path for path in (folder / "files" / "md5").glob("??/*") if path.is_file())
    return [
        f"{path.parent.name}/{path.name}"
        for path in sorted(files)
        if path.parent.name + path.name.removesuffix(".dir") != _md5(path)
    ]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def registry(settings: Settings) -> Finding:
    """Check that the model registry is of a kind that works, and answers."""
    uri = settings.mlflow_uri
    if uri.startswith(("sqlite:///", "postgresql", "http://", "https://")):
        return _database(uri, "stores.mlflow_uri or MLFLOW_TRACKING_URI")
    fix = "set MLFLOW_TRACKING_URI to sqlite:///build/mlflow.db, or a server's http(s) address"
    return Finding(f"MLflow refuses {uri!r}: it keeps no runs in folders any more", fix)


def ledger(settings: Settings) -> Finding:
    """Check that the ledger's database answers."""
    return _database(settings.ledger_url, "stores.ledger_url")


def _database(url: str, key: str) -> Finding:
    if url.startswith("sqlite:///"):
        return _sqlite(Path(url.removeprefix("sqlite:///")))
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    number = parts.port or PORTS.get(parts.scheme.partition("+")[0], 5432)
    if listens(host, number):
        return Finding(f"{host}:{number} answers")
    return Finding(f"{host}:{number} does not answer", f"start it, or correct {key}")


def _sqlite(path: Path) -> Finding:
    if not path.exists():
        return Finding(f"{path.name} does not exist yet; the first run creates it")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict == "ok":
        return Finding(f"{path.name} is intact")
    return Finding(f"{path.name}: {verdict}", "restore a backup, or move the file away")


def prefect(_: Settings) -> Finding:
    """Check that the Prefect server that the environment names answers."""
    api = os.environ.get("PREFECT_API_URL", "")
    if not api:
        return Finding("PREFECT_API_URL is not set: each command has its own server")
    try:
        with _client(api) as client:
            client.get("/health").raise_for_status()
    except httpx.HTTPError as error:
        return Finding(f"{api} does not answer: {error}", "make up, or unset PREFECT_API_URL")
    return Finding(f"{api} answers")


def mlflow_runs(settings: Settings) -> Finding:
    """Look for training runs that a killed process left open."""
    if not _has_registry(settings):
        return Finding("no registry to look into")
    try:
        return _unfinished(len(open_registry(settings).stalled(STALE_HOURS)))
    except SalescastError as error:
        return Finding(str(error), "see the line of the registry")


def prefect_runs(settings: Settings) -> Finding:
    """Look for flow runs that a killed worker left RUNNING."""
    if not _has_prefect(settings):
        return Finding("no Prefect server to look into")
    return _unfinished(len(running_flows(STALE_HOURS)))


def _unfinished(count: int) -> Finding:
    if not count:
        return Finding("none that never ended")
    summary = f"{count} started more than {STALE_HOURS:g} hours ago and never ended"
    return Finding(summary, "salescast doctor --reap marks them as killed")


def running_flows(hours: float) -> list[str]:
    """Return the ids of flow runs that have been RUNNING for more than `hours`."""
    before = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    query = {"state": {"type": {"any_": ["RUNNING"]}}, "start_time": {"before_": before}}
    return [run["id"] for run in _post("flow_runs/filter", {"flow_runs": query})]


def reap(settings: Settings) -> int:
    """End the training and flow runs that never ended, and return how many there were."""
    count = open_registry(settings).reap(STALE_HOURS) if _has_registry(settings) else 0
    state = {"type": "CRASHED", "message": "its worker was killed; salescast doctor --reap"}
    for run in running_flows(STALE_HOURS) if _has_prefect(settings) else []:
        _post(f"flow_runs/{run}/set_state", {"state": state, "force": True})
        count += 1
    return count


def _has_registry(settings: Settings) -> bool:
    uri = settings.mlflow_uri
    exists = not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists()
    return exists and not registry(settings).fix


def _has_prefect(settings: Settings) -> bool:
    return bool(os.environ.get("PREFECT_API_URL")) and not prefect(settings).fix


def _post(path: str, body: dict[str, Any]) -> Any:
    with _client(os.environ["PREFECT_API_URL"]) as client:
        return client.post(f"/{path}", json=body).raise_for_status().json()


def _client(api: str) -> httpx.Client:
    remote = urlsplit(api).hostname not in {"127.0.0.1", "localhost", "::1"}
    return httpx.Client(base_url=api, timeout=30, trust_env=remote)  # no proxy for this machine
