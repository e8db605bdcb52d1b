"""What the workspace keeps, and the servers it keeps it on."""

import configparser
import hashlib
import json
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from salescast.data import versions
from salescast.doctor.finding import Finding
from salescast.doctor.machine import listens
from salescast.errors import SalescastError
from salescast.registry import Registry
from salescast.settings import Settings

STALE_HOURS = 6.0  # a training run takes minutes
PORTS = {"postgresql": 5432, "http": 80, "https": 443}
SQLITE_ALONE = "sqlite:///build/mlflow.db, or a server's http(s) address"


def data(settings: Settings) -> Finding:
    """See whether `data/` is the version that `data.dvc` pins."""
    pinned = versions.pinned_version(settings.root)
    if pinned is None:
        return Finding("data", "no data.dvc: nothing is pinned")
    if not settings.data.is_dir():
        return Finding("data", "data/ is not pulled yet: `dvc pull data.dvc`, or `make run` does")
    found = versions.data_version(settings.data)
    if found == pinned:
        return Finding("data", f"version {pinned}, as pinned")
    mend = "keep it: salescast stage version; or go back: dvc checkout --force data.dvc"
    return Finding("data", f"data/ is {found}, data.dvc pins {pinned}", mend)


def remote(settings: Settings) -> Finding:
    """See that DVC checks what it pulls, and that each file of a local remote is intact."""
    config = settings.root / ".dvc" / "config"
    if not config.exists():
        return Finding("remote", "no DVC in this workspace")
    name, section = _default_remote(config)
    if not name:
        return Finding("remote", "DVC has no default remote", "dvc remote add --default NAME URL")
    if section.get("verify", "false").lower() != "true":
        mend = f"dvc remote modify {name} verify true"
        return Finding("remote", f"a flipped bit in {name} would be pulled as good", mend)
    url = section.get("url", "")
    if "://" in url:
        return Finding("remote", f"{name} is verified when pulled")
    damaged = _damaged((config.parent / url).resolve())
    if damaged:
        mend = "remove them there, then `dvc push` from a checkout that has them"
        return Finding("remote", f"{name} has damaged {', '.join(damaged[:3])}", mend)
    return Finding("remote", f"every file of {name} is intact")


def _default_remote(config: Path) -> tuple[str, Any]:
    parser = configparser.ConfigParser()
    local = config.with_name("config.local")
    parser.read([config, local], encoding="utf-8")
    name = parser.get("core", "remote", fallback="")
    section = f"'remote \"{name}\"'"
    return name, parser[section] if parser.has_section(section) else {}


def _damaged(folder: Path) -> list[str]:
    # A file is named after its MD5: two digits, then the rest; a listing ends in .dir.
    files = (p for p in (folder / "files" / "md5").glob("??/*") if p.is_file())
    return [
        f"{path.parent.name}/{path.name}"
        for path in sorted(files)
        if path.parent.name + path.name.removesuffix(".dir") != _md5(path)
    ]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def registry(settings: Settings) -> Finding:
    """See whether the model registry is of a kind that works, and answers."""
    uri = settings.mlflow_uri
    if not uri.startswith(("sqlite:///", "postgresql", "http://", "https://")):
        summary = f"MLflow refuses {uri!r}: it keeps no runs in folders any more"
        return Finding("registry", summary, f"set MLFLOW_TRACKING_URI to {SQLITE_ALONE}")
    return _answers("registry", uri, "stores.mlflow_uri or MLFLOW_TRACKING_URI")


def ledger(settings: Settings) -> Finding:
    """See whether the ledger's database answers."""
    return _answers("ledger", settings.ledger_url, "stores.ledger_url")


def _answers(name: str, url: str, key: str) -> Finding:
    if url.startswith("sqlite:///"):
        return _sqlite(name, Path(url.removeprefix("sqlite:///")))
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    number = parts.port or PORTS.get(parts.scheme.partition("+")[0], 5432)
    if listens(host, number):
        return Finding(name, f"{host}:{number} answers")
    return Finding(name, f"{host}:{number} does not answer", f"start it, or correct {key}")


def _sqlite(name: str, path: Path) -> Finding:
    if not path.exists():
        return Finding(name, f"{path.name} is made when it is first needed")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict == "ok":
        return Finding(name, f"{path.name} is intact")
    return Finding(name, f"{path.name}: {verdict}", "put back a backup, or move the file away")


def prefect(_: Settings) -> Finding:
    """See whether the Prefect server that the environment names answers."""
    api = os.environ.get("PREFECT_API_URL", "")
    if not api:
        return Finding("prefect", "PREFECT_API_URL is not set: each command has its own server")
    try:
        with urlopen(f"{api}/health", timeout=5):  # noqa: S310 - the user's own server
            return Finding("prefect", f"{api} answers")
    except (OSError, ValueError) as error:
        mend = "make up, or unset PREFECT_API_URL"
        return Finding("prefect", f"{api} does not answer: {error}", mend)


def mlflow_runs(settings: Settings) -> Finding:
    """Look for training runs that a killed process left open."""
    if not _has_registry(settings):
        return Finding("training runs", "no registry to look into")
    try:
        found = _registry(settings).stalled(STALE_HOURS)
    except SalescastError as error:
        return Finding("training runs", str(error), "see the line of the registry")
    return _stale("training runs", len(found))


def _has_registry(settings: Settings) -> bool:
    uri = settings.mlflow_uri
    made = not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists()
    return made and registry(settings).well


def _registry(settings: Settings) -> Registry:
    return Registry(
        settings.mlflow_uri, settings.product.model, settings.artifacts, settings.artifacts_uri
    )


def prefect_runs(settings: Settings) -> Finding:
    """Look for flow runs that a killed worker left RUNNING."""
    if not _has_prefect(settings):
        return Finding("flow runs", "no Prefect server to look into")
    return _stale("flow runs", len(running_flows(STALE_HOURS)))


def _has_prefect(settings: Settings) -> bool:
    return bool(os.environ.get("PREFECT_API_URL")) and prefect(settings).well


def _stale(name: str, count: int) -> Finding:
    if not count:
        return Finding(name, "none that never ended")
    summary = f"{count} began more than {STALE_HOURS:g} hours ago and never ended"
    return Finding(name, summary, "salescast doctor --reap marks them as what they are: killed")


def running_flows(hours: float) -> list[str]:
    """Return the ids of flow runs that are RUNNING since more than `hours`."""
    before = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    wanted = {"state": {"type": {"any_": ["RUNNING"]}}, "start_time": {"before_": before}}
    return [run["id"] for run in _ask("flow_runs/filter", {"flow_runs": wanted})]


def reap(settings: Settings) -> int:
    """End the training and flow runs that never ended, and return how many there were."""
    count = _registry(settings).reap(STALE_HOURS) if _has_registry(settings) else 0
    state = {"type": "CRASHED", "message": "its worker was killed; salescast doctor --reap"}
    for run in running_flows(STALE_HOURS) if _has_prefect(settings) else []:
        _ask(f"flow_runs/{run}/set_state", {"state": state, "force": True})
        count += 1
    return count


def _ask(path: str, body: dict[str, Any]) -> Any:
    request = Request(  # noqa: S310 - the user's own server
        f"{os.environ['PREFECT_API_URL']}/{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=30) as reply:  # noqa: S310 - as above
        return json.loads(reply.read())
