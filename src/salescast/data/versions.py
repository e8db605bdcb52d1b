"""The version of the tables: DVC's, computed by ourselves where there is no DVC."""

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from salescast.data.files import as_json
from salescast.data.store import recover
from salescast.errors import DataQualityError, StoreUnavailableError

LOCK = Path(".dvc/tmp/rwlock")
FULL_MB = 50  # less is too little for a data version
log = logging.getLogger("salescast")
_MD5 = re.compile(r"[0-9a-f]{32}")
_PINNED = re.compile(r"md5: ([0-9a-f]{32}\.dir)")
_DVC_CONFIG = """\
[core]
    no_scm = True
    analytics = false
    remote = workspace
['remote "workspace"']
    url = ../remote
    verify = true
"""


def data_version(data: Path) -> str:
    """Return the version of the tables: the hash that `dvc add data` writes into `data.dvc`.

    It is the MD5 of DVC's list of files and their MD5s, so it needs neither git nor DVC.
    """
    recover(data)
    entries = [{"md5": md5, "relpath": path} for path, md5 in sorted(listed_files(data).items())]
    listing = json.dumps(entries, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"


def listed_files(data: Path) -> dict[str, str]:
    """Return the MD5 of each file of the tables, by its path within `data`."""
    files = (path for path in data.rglob("*") if path.is_file())
    return {path.relative_to(data).as_posix(): _md5(path) for path in files}


def changed_files(root: Path) -> list[str] | None:
    """Return the recorded files of the tables that are missing or differ; None without a record.

    The record is `build/version.json`, or DVC's list of files for the version that is pinned.
    """
    recorded = _recorded_files(root)
    if recorded is None:
        return None
    recover(root / "data")
    found = listed_files(root / "data")
    return sorted(path for path, md5 in recorded.items() if found.get(path) != md5)


def require_files(root: Path, *, appended: bool = False) -> None:
    """Raise DataQualityError where a recorded file of the tables is missing; log what differs.

    `appended`: rows were stored since the record, so that files are expected to differ.

    Without this, a lost file would leave the next data version as if it had never been there.
    """
    changed = changed_files(root) or []
    missing = [path for path in changed if not (root / "data" / path).is_file()]
    if missing:
        raise DataQualityError(
            f"{len(missing)} recorded files of data/ are missing: {', '.join(missing[:3])}; bring "
            "them back with `dvc checkout data.dvc` or from a backup"
        )
    if changed and not appended:
        log.warning("changed since the data version was recorded: %s", ", ".join(changed[:3]))


def _recorded_files(root: Path) -> dict[str, str] | None:
    pinned, record = pinned_version(root), root / "build" / "version.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        recorded = as_json(record.read_bytes())
        if pinned in {None, recorded["data_version"]}:
            return dict(recorded["files"])
    with suppress(OSError, StoreUnavailableError, DataQualityError):
        cached = root / ".dvc" / "cache" / "files" / "md5" / str(pinned)[:2] / str(pinned)[2:]
        return {entry["relpath"]: entry["md5"] for entry in _entries(cached.read_bytes())}
    return None


def pinned_version(root: Path) -> str | None:
    """Return the version that `data.dvc` names, or None where there is no such file."""
    pin = root / "data.dvc"
    found = _PINNED.search(pin.read_text(encoding="utf-8")) if pin.exists() else None
    return found[1] if found else None


def commit_version(root: Path) -> str:
    """Record `data/` with DVC, push it to the default remote if there is one, return the version.

    In a workspace without DVC the version is returned and nothing is recorded.
    Raises StoreUnavailableError where DVC or the remote refuses.
    """
    data = root / "data"
    if not (root / ".dvc").is_dir():
        return data_version(data)
    recover(data)
    with _dvc(root) as repo:
        repo.add([str(data)])
        if repo.config["core"].get("remote"):
            repo.push([str(root / "data.dvc")])
    return pinned_version(root) or data_version(data)


def pull(root: Path) -> str:
    """Bring `data/` to the version that `data.dvc` names, checked byte for byte, and return it.

    Raises DataQualityError where nothing is pinned or the list of files names one outside `data/`,
    StoreUnavailableError naming the files that are missing from the remote or damaged there.
    """
    data, pinned = root / "data", pinned_version(root)
    if pinned is None:
        raise DataQualityError(f"{root / 'data.dvc'}: no version is pinned; run `dvc add data`")
    if data.is_dir() and data_version(data) == pinned:
        return pinned
    with _dvc(root) as repo:
        _check_listing(repo, pinned)
        try:
            repo.pull([str(root / "data.dvc")])
        except Exception as error:
            _blame_remote(repo, pinned, error)
            raise
    if data_version(data) != pinned:
        raise StoreUnavailableError(
            f"{data} is {data_version(data)} after the pull, data.dvc names {pinned}; "
            "run `dvc checkout --force data.dvc`"
        )
    return pinned


def fetch_version(root: Path, version: str, target: Path) -> None:
    """Put the tables of another data version into the new folder `target`, checked byte for byte.

    They come from DVC's cache or its default remote; `data/` is left alone. Raises
    StoreUnavailableError naming the files that neither has, DataQualityError where the list of
    files names one outside `target`; then nothing is written.
    """
    if not (root / ".dvc").is_dir():
        raise StoreUnavailableError(f"{root} is no DVC repository: {version} cannot be fetched")
    with _dvc(root) as repo:
        stores = _stores(repo)
        listing = _object(stores, version)
        if listing is None:
            raise StoreUnavailableError(f"neither DVC's cache nor its remote has {version}")
        for entry in _entries(listing):
            content = _object(stores, entry["md5"])
            if content is None:
                raise StoreUnavailableError(f"DVC lacks {entry['relpath']} of {version}")
            path = target / entry["relpath"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    if data_version(target) != version:
        raise StoreUnavailableError(f"what DVC has of {version} is damaged; push it again")


def _stores(repo: Any) -> list[Any]:
    remote = [repo.cloud.get_remote_odb()] if repo.config["core"].get("remote") else []
    return [repo.cache.local, *remote]


def _check_listing(repo: Any, version: str) -> None:
    """Raise DataQualityError where DVC would write outside the data; a damaged list it refuses."""
    for store in _stores(repo):
        listing = _object([store], version)
        with suppress(StoreUnavailableError):
            _entries(listing or b"[]")


def _entries(listing: bytes) -> list[dict[str, str]]:
    """Return the files of DVC's list; raise DataQualityError where one lies outside its folder.

    Raises StoreUnavailableError where it is no such list.
    """
    try:
        entries = [
            {name: str(one[name]) for name in ("md5", "relpath")} for one in json.loads(listing)
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise StoreUnavailableError(f"DVC's list of files is damaged: {error}") from error
    for entry in entries:
        path = PurePosixPath(entry["relpath"])
        if path.is_absolute() or ".." in path.parts or not _MD5.fullmatch(entry["md5"]):
            raise DataQualityError(
                f"the data version lists {entry['relpath'][:100]!r}, which lies outside the data; "
                "nothing was written: find out who changed the remote"
            )
    return entries


def _object(stores: Sequence[Any], oid: str) -> bytes | None:
    """Return the content of a DVC object from the first store that has it."""
    for odb in stores:
        with suppress(OSError):
            return bytes(odb.fs.cat_file(odb.oid_to_path(oid)))
    return None


def init_workspace(root: Path, source: Path) -> None:
    """Make `root` a fresh copy of `source` (config, data, pins) with a DVC remote of its own.

    What demonstrations deliver lands there, not in the checkout. `root` appears complete or not
    at all; an older one is replaced.
    """
    draft = root.with_name(root.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    (draft / ".dvc").mkdir(parents=True)
    (draft / ".dvc" / "config").write_text(_DVC_CONFIG, encoding="utf-8")
    (draft / ".dvcignore").write_text("/build/\n/remote/\n", encoding="utf-8")
    for name in ("config.toml", "data.dvc"):
        if (source / name).exists():
            shutil.copyfile(source / name, draft / name)
    if (source / "data").is_dir():
        recover(source / "data")
        shutil.copytree(source / "data", draft / "data", copy_function=shutil.copyfile)
    if root.exists():
        shutil.rmtree(root)
    draft.replace(root)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@contextmanager
def _dvc(root: Path) -> Iterator[Any]:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    loggers = [logging.getLogger(name) for name in ("dvc", "dvc_data", "dvc_objects")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:  # this also hides the progress bars
        logger.setLevel(logging.CRITICAL)
    try:
        with Repo(str(root)) as repo:
            yield repo
    except (DvcException, OSError) as error:
        reason = " ".join(str(error).split()) + _remedy(root)
        raise StoreUnavailableError(f"DVC in {root}: {reason}") from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _remedy(root: Path) -> str:
    """Return what DVC's message leaves out: a full disk, or a lock that it cannot read."""
    free = shutil.disk_usage(root).free / 1e6
    if free < FULL_MB:
        return f"; the disk has {free:.0f} MB left: free space and run it again"
    if has_damaged_lock(root):
        return f"; an interrupted DVC left {root / LOCK}: delete that file"
    return ""


def has_damaged_lock(root: Path) -> bool:
    """Return whether DVC's lock cannot be read: DVC then refuses to work."""
    try:
        return not isinstance(json.loads((root / LOCK).read_text("utf-8")), dict)
    except FileNotFoundError:
        return False
    except ValueError:
        return True


def _blame_remote(repo: Any, pinned: str, error: Exception) -> None:
    # DVC says only that a checkout failed; what it could not fetch intact is not in its cache.
    cache = repo.cache.local
    bad = [
        entry["relpath"]
        for entry in _listing(repo, pinned)
        if not Path(cache.oid_to_path(entry["md5"])).exists()
    ]
    if bad:
        raise StoreUnavailableError(
            f"the DVC remote lacks or has damaged {', '.join(bad[:3])} of data version {pinned}; "
            "push it again with `dvc push` from a checkout that has it"
        ) from error


def _listing(repo: Any, pinned: str) -> list[dict[str, str]]:
    # Where a file is missing from the remote, DVC does not fetch the list of files either.
    remote = repo.cloud.get_remote_odb()
    try:
        content = remote.fs.cat_file(remote.oid_to_path(pinned))
        return list(json.loads(content))
    except (OSError, ValueError):
        return [{"relpath": f"the list of files {pinned}", "md5": pinned}]
