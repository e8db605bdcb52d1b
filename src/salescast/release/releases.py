"""Where releases lie, and which of them serves.

`<folder>/<version>-<digest>/` never changes once it is there; the file `champion` names one of
them and is replaced as a whole. Reading it costs a millisecond, so services look every second.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from salescast.data.strict import as_json, read_bytes
from salescast.errors import DataQualityError, NoChampionError, StoreUnavailableError
from salescast.release.bundle import Bundle, read_bundle
from salescast.release.manifest import MANIFEST, seal, unseal

POINTER = "champion"


@dataclass(frozen=True)
class Release:
    """Which bundle serves since promotion number `sequence`."""

    sequence: int
    version: str
    digest: str

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f"{self.version}-{self.digest[:16]}"


class Releases:
    """The releases in one folder."""

    def __init__(self, folder: Path, trusted: Collection[str] = ()) -> None:
        """Name the folder; it need not be there yet. `trusted`: see `parse_model`."""
        self._folder, self._trusted = folder, tuple(trusted)

    def publish(self, version: str, files: Mapping[str, bytes]) -> str:
        """Put a bundle in place, in one step, and return its digest; what is there stays.

        Raises StoreUnavailableError where the disk is full or refuses.
        """
        manifest, digest = seal(files)
        target = self._folder / Release(0, version, digest).folder
        with self._writing():
            if not _intact(target, digest):
                for abandoned in self._folder.glob(".draft-*"):  # by a process that was killed
                    shutil.rmtree(abandoned)
                draft = target.with_name(f".draft-{target.name}")
                draft.mkdir()
                for name, content in {**files, MANIFEST: manifest}.items():
                    _write_synced(draft / name, content)
                if target.exists() or target.is_symlink():
                    _set_aside(target)
                draft.replace(target)
                _sync_folder(self._folder)
        return digest

    def point(self, release: Release) -> Release:
        """Let `release` serve, unless a later promotion serves already; return which one does."""
        line = json.dumps(asdict(release) | {"check": _check(release)})
        with self._writing():
            try:
                served = self.champion()
            except (DataQualityError, NoChampionError):
                served = None
            if served is not None and served.sequence > release.sequence:
                return served
            part = self._folder / f".{POINTER}"
            _write_synced(part, line.encode() + b"\n")
            part.replace(self._folder / POINTER)
            _sync_folder(self._folder)
            return release

    def champion(self) -> Release:
        """Return which release serves.

        Raises NoChampionError where none was ever named, DataQualityError where the file that
        names it is damaged.
        """
        path = self._folder / POINTER
        if not os.path.lexists(path):
            raise NoChampionError(f"{path} names no release; run `salescast promote` first")
        try:
            plain = as_json(read_bytes(path, 4096))
            check = plain.pop("check")
            release = Release(**plain)
            shaped = isinstance(release.sequence, int) and f"{release.version}".isalnum()
            if check != _check(release) or not shaped:
                raise ValueError("its check does not fit")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataQualityError(f"{path}: damaged ({error}); run `salescast promote`") from error
        return release

    def read(self, release: Release) -> Bundle:
        """Return the release's bundle; raises as `read_bundle`."""
        return read_bundle(self._folder / release.folder, release.digest, self._trusted)

    def files(self, release: Release) -> dict[str, bytes]:
        """Return the release's files, checked; raises DataQualityError where it is damaged."""
        return unseal(self._folder / release.folder, release.digest)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise StoreUnavailableError(
                f"cannot write releases to {self._folder}: {error}; free space or allow writing"
            ) from error


def _check(release: Release) -> str:
    plain = json.dumps(asdict(release), sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def _intact(folder: Path, digest: str) -> bool:
    try:
        unseal(folder, digest)
    except DataQualityError:
        return False
    return True


def _set_aside(target: Path) -> None:
    """Move a damaged release out of the way; it is evidence."""
    aside = target.with_name(f".damaged-{target.name}")
    if aside.is_symlink() or aside.is_file():
        aside.unlink()
    shutil.rmtree(aside, ignore_errors=True)
    target.replace(aside)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
