"""Back up what cannot be made again, and restore it: ledger, registry, releases, data, spool."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from salescast.data import store, versions
from salescast.data.files import as_json, read_bytes, write_json
from salescast.errors import ConfigError, DataQualityError, StoreUnavailableError
from salescast.ledger.ledger import Ledger
from salescast.release import Releases
from salescast.settings import Settings
from salescast.stages.configured import open_releases
from salescast.stages.probe import probe
from salescast.stages.promotion import follow_journal, last_release

MANIFEST = "backup.json"
FORMAT = 1
ATTEMPTS = 5  # to copy the data while nobody changes them
POINTERS = ("champion", "lock")  # of the release folder: they follow from the ledger
ARTIFACT_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Columns of MLflow's tables that hold addresses of artifacts."""


def backup(settings: Settings, destination: Path) -> dict[str, Any]:
    """Copy all that must survive into a new folder, while everything runs.

    Databases are copied first: what they name lies in the folders by then. A database or a store
    of artifacts that a server keeps is left to that server, except PostgreSQL, which `pg_dump`
    reads. Raises ConfigError where the folder exists, StoreUnavailableError where a copy fails.
    """
    if destination.exists():
        raise ConfigError(f"{destination} exists; name a new folder")
    draft = destination.with_name(f".{destination.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        with Ledger(settings.ledger_url) as ledger:
            champion = last_release(ledger)
        for name, url in _databases(settings).items():
            _dump(url, draft / name)
        version = _copy_data(settings, draft / "data")
        for name, folder in _folders(settings).items():
            _copy(folder, draft / name)
        for path in _files(settings):
            if path.exists():
                shutil.copyfile(path, draft / path.name)
        if champion:
            Releases(draft / "releases", settings.model.trusted_types).read(champion)
        about = {"format": FORMAT, "data_version": version, "artifacts_uri": settings.artifacts_uri}
        write_json(draft / MANIFEST, about | {"files": dict(_digests(draft))})
        draft.replace(destination)
    except OSError as error:
        raise StoreUnavailableError(f"cannot write the backup {destination}: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    size = sum(path.stat().st_size for path in destination.rglob("*") if path.is_file()) / 1e6
    serving = f"version {champion.version}" if champion else "no champion"
    return {
        "destination": str(destination),
        "summary": f"{size:,.1f} MB in {destination}: {serving}, data version {version}",
    }


def restore(settings: Settings, source: Path, url: str | None = None) -> dict[str, Any]:
    """Put a backup in place of what this workspace has, and check that its champion serves.

    What was there is moved to `build/replaced`. Stop the services before; `url`: a service to
    probe. Raises DataQualityError where a file of the backup is missing or damaged: then nothing
    was changed.
    """
    manifest = _checked(source)
    replaced = settings.build / "replaced" / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
    for name, database in _databases(settings).items():
        _load(source / name, database, replaced)
    for name, folder in {**_folders(settings), "data": settings.data}.items():
        _move_away(folder, replaced)
        if (source / name).exists():
            shutil.copytree(source / name, folder)
    for path in _files(settings):
        _move_away(path, replaced)
        if (source / path.name).exists():
            shutil.copyfile(source / path.name, path)
    _readdress(settings.mlflow_uri, manifest["artifacts_uri"], settings.artifacts_uri)
    if versions.data_version(settings.data) != manifest["data_version"]:
        raise DataQualityError(f"{settings.data} is not version {manifest['data_version']}")
    serving = _serve_again(settings, url)
    return {"replaced": str(replaced), "summary": f"{source} is restored: {serving}"}


def _serve_again(settings: Settings, url: str | None) -> str:
    """Let release folder and registry follow the restored journal; return what serves."""
    with Ledger(settings.ledger_url) as ledger:
        follow_journal(settings, ledger)
        champion = last_release(ledger)
    if champion is None:
        return "no version was promoted"
    open_releases(settings).read(champion)
    return f"version {champion.version} is the champion; {probe(settings, champion, url)}"


def _databases(settings: Settings) -> Mapping[str, str]:
    return {"ledger.db": settings.ledger_url, "mlflow.db": settings.mlflow_uri}


def _folders(settings: Settings) -> Mapping[str, Path]:
    return {
        "releases": settings.releases,
        "mlartifacts": settings.artifacts,
        "spool": settings.build / "spool",
    }


def _files(settings: Settings) -> Sequence[Path]:
    return settings.root / "data.dvc", settings.build / "version.json", settings.api_keys


def _copy_data(settings: Settings, target: Path) -> str:
    """Copy the tables as they were at one moment, and return their version."""
    for _ in range(ATTEMPTS):
        store.recover(settings.data)
        version = versions.data_version(settings.data)
        shutil.rmtree(target, ignore_errors=True)
        _copy(settings.data, target)
        if version == versions.data_version(target):
            return version
    raise StoreUnavailableError("the data changed while they were copied; back up again")


def _copy(folder: Path, target: Path) -> None:
    """Copy a folder without what is unfinished; a file that disappears meanwhile is left out."""

    def copy(source: str, destination: str) -> None:
        with suppress(FileNotFoundError):
            shutil.copyfile(source, destination)

    if folder.is_dir():
        ignore = shutil.ignore_patterns(".*", *POINTERS)
        shutil.copytree(folder, target, ignore=ignore, copy_function=copy)


def _dump(url: str, target: Path) -> None:
    """Copy a database as it is at one moment; others may write meanwhile."""
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        if path.exists():
            with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(target)) as copy:
                live.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    elif url.startswith("postgres"):
        _postgres(url, "pg_dump", "--format=custom", f"--file={target}")


def _load(source: Path, url: str, replaced: Path) -> None:
    if not source.exists():
        return
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        for ending in ("", "-wal", "-shm"):
            _move_away(path.with_name(path.name + ending), replaced)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)
    else:
        options = "--clean", "--if-exists", "--no-owner", "--single-transaction"
        _postgres(url, "pg_restore", *options, str(source))


def _postgres(url: str, program: str, *options: str) -> None:
    """Run a program of PostgreSQL; the password goes by the environment, where others can't see."""
    parts = urlsplit(url)
    environment = {"PGPASSWORD": unquote(parts.password or "")} if parts.password else {}
    place = parts.netloc.replace(f":{parts.password}@", "@") if parts.password else parts.netloc
    database = f"--dbname=postgresql://{place}{parts.path}"
    try:
        subprocess.run(  # noqa: S603 - no shell; the options are ours
            [program, database, *options],
            env=os.environ | environment,
            check=True,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError as error:
        raise StoreUnavailableError(f"{program} is missing; install PostgreSQL's client") from error
    except subprocess.CalledProcessError as error:
        raise StoreUnavailableError(f"{program}: {error.stderr.strip()[-300:]}") from error


def _readdress(url: str, old: str, new: str) -> None:
    """Let a registry in SQLite name its artifacts where they lie now."""
    path = Path(url.removeprefix("sqlite:///"))
    if old == new or not url.startswith("sqlite:///") or not path.exists():
        return
    with closing(sqlite3.connect(path)) as registry, registry:
        for table, column in ARTIFACT_PLACES:
            change = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"  # noqa: S608 - ours
            registry.execute(change, (old, new))


def _digests(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            yield path.relative_to(folder).as_posix(), digest


def _checked(source: Path) -> dict[str, Any]:
    """Return a backup's manifest; raise DataQualityError where a file is not what it lists."""
    try:
        manifest: dict[str, Any] = as_json(read_bytes(source / MANIFEST))
        listed = manifest["files"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataQualityError(f"{source / MANIFEST}: damaged ({error})") from error
    if manifest.get("format") != FORMAT:
        raise DataQualityError(f"{source} is a backup of another format than {FORMAT}")
    found = dict(_digests(source))
    wrong = sorted(name for name in found | listed if found.get(name) != listed.get(name))
    if wrong:
        raise DataQualityError(
            f"the backup {source} has missing, damaged or added files: {', '.join(wrong[:3])}; "
            "nothing was restored"
        )
    return manifest


def _move_away(path: Path, replaced: Path) -> None:
    if path.exists():
        replaced.mkdir(parents=True, exist_ok=True)
        path.replace(replaced / path.name)
