"""The folder of releases, and the pointer to the one that serves.

`<folder>/<version>-<digest>/` never changes once it is there; the file `champion` names one of
them and is replaced as a whole. Reading it costs a millisecond, so services look every second.
"""

import fcntl
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from salescast.data.files import as_json, read_bytes, replace_text, sync
from salescast.errors import DataQualityError, NoChampionError, StoreUnavailableError
from salescast.evaluation.live_comparison import canary_stores
from salescast.release.bundle import Bundle, read_bundle
from salescast.release.payload import MANIFEST, seal, unseal

POINTER = "champion"


@dataclass(frozen=True)
class Release:
    """A bundle, and the number of the promotion that made it serve."""

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
        """Name the folder, which need not exist yet. `trusted`: see `parse_model`."""
        self._folder, self._trusted = folder, tuple(trusted)

    def publish(self, version: str, files: Mapping[str, bytes]) -> str:
        """Put a bundle in place, in one step, and return its digest; an intact one stays.

        Raises StoreUnavailableError where the disk is full or not writable.
        """
        manifest, digest = seal(files)
        release = Release(0, version, digest)
        target = self._folder / release.folder
        with self._writing():
            if not self.intact(release):
                for abandoned in self._folder.glob(".draft-*"):  # by a process that was killed
                    shutil.rmtree(abandoned)
                draft = target.with_name(f".draft-{target.name}")
                draft.mkdir()
                for name, content in {**files, MANIFEST: manifest}.items():
                    (draft / name).write_bytes(content)
                    sync(draft / name)
                if os.path.lexists(target):
                    _keep_damaged(target)
                draft.replace(target)
                sync(self._folder)
        return digest

    def point(self, release: Release) -> Release:
        """Let `release` serve, unless a later promotion serves already; return the one that does.

        Raises StoreUnavailableError where the disk is full or not writable.
        """
        line = json.dumps(asdict(release) | {"check": _check(release)})
        with self._writing():
            try:
                serving = self.champion()
            except (DataQualityError, NoChampionError):
                serving = release
            if serving.sequence > release.sequence:
                return serving
            replace_text(self._folder / POINTER, line + "\n")
            return release

    def champion(self) -> Release:
        """Return the release that serves.

        Raises NoChampionError where none was ever promoted, DataQualityError where the pointer is
        damaged.
        """
        path = self._folder / POINTER
        if not os.path.lexists(path):
            raise NoChampionError(f"{path} names no release; run `salescast promote` first")
        try:
            plain = as_json(read_bytes(path, 4096))
            check = plain.pop("check")
            release = Release(**plain)
            valid = isinstance(release.sequence, int) and f"{release.version}".isalnum()
            if check != _check(release) or not valid:
                raise ValueError("its check sum is wrong")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataQualityError(f"{path}: damaged ({error}); run `salescast promote`") from error
        return release

    def read(self, release: Release) -> Bundle:
        """Return the release's bundle; raises as `read_bundle`."""
        return read_bundle(self._folder / release.folder, release.digest, self._trusted)

    def files(self, release: Release) -> dict[str, bytes]:
        """Return the release's files, checked; raises DataQualityError where it is damaged."""
        return unseal(self._folder / release.folder, release.digest)

    def intact(self, release: Release) -> bool:
        """Return whether the release is there and undamaged."""
        try:
            self.files(release)
        except DataQualityError:
            return False
        return True

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


def _keep_damaged(target: Path) -> None:
    """Move a damaged release out of the way; it is evidence."""
    kept = target.with_name(f".damaged-{target.name}")
    if kept.is_symlink() or kept.is_file():
        kept.unlink()
    shutil.rmtree(kept, ignore_errors=True)
    target.replace(kept)


TRIAL_POINTER = "trial"
log = logging.getLogger("salescast.api")


@dataclass(frozen=True)
class Trial:
    """A release that forecasts next to the champion.

    It serves `share` (0 … 1) of the stores. Its forecasts for the other stores, and the champion's
    for its stores, are shadow forecasts: recorded, never answered.
    """

    version: str
    digest: str
    share: float

    @property
    def release(self) -> Release:
        """The release on trial; it has no place among the champions."""
        return Release(0, self.version, self.digest)


def read_trial(releases: Path) -> Trial | None:
    """Return the trial in the folder of the releases, None where nothing is on trial.

    Raises DataQualityError where its file is damaged.
    """
    path = releases / TRIAL_POINTER
    if not os.path.lexists(path):
        return None
    try:
        trial = Trial(**as_json(read_bytes(path, 4096)))
        if not (0 <= trial.share <= 1 and trial.version.isalnum()):
            raise ValueError("a share is between 0 and 1")
    except (ValueError, TypeError, AttributeError) as error:
        raise DataQualityError(
            f"{path}: damaged ({error}); run `salescast canary --stop`"
        ) from error
    return trial


def write_trial(releases: Path, trial: Trial | None) -> None:
    """Begin a trial, in place of another one, or end it with None; in one step."""
    path = releases / TRIAL_POINTER
    if trial is not None:
        replace_text(path, json.dumps(asdict(trial)) + "\n")
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnavailableError(f"cannot remove {path}: {error.strerror}") from error


def served_and_shadow(
    releases: Path,
    champion: Bundle,
    forecasts: pd.DataFrame,
    issue: Callable[[Bundle], pd.DataFrame],
    trusted: Collection[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the served forecasts and the shadow forecasts.

    `forecasts`: the champion's; `issue`: returns those of another release. Where the release on
    trial cannot be read or has another horizon or quantiles, the champion serves alone.
    """
    try:
        on_trial = open_trial(releases, champion, trusted)
    except DataQualityError as error:
        log.warning("the version on trial does not serve: %s", error)
        on_trial = None
    if on_trial is None:
        return forecasts, forecasts.iloc[:0]
    trial, bundle = on_trial
    return split(forecasts, issue(bundle), trial)


def open_trial(
    releases: Path, champion: Bundle, trusted: Collection[str] = ()
) -> tuple[Trial, Bundle] | None:
    """Return the trial and its release; None where nothing is on trial.

    Raises DataQualityError where it is damaged or has another horizon or quantiles than the
    champion.
    """
    trial = read_trial(releases)
    if trial is None or trial.version == champion.version:
        return None
    bundle = Releases(releases, trusted).read(trial.release)
    for name in ("horizon", "quantiles"):
        if bundle.contract[name] != champion.contract[name]:
            raise DataQualityError(
                f"version {trial.version} has another {name} than the champion; promote it instead"
            )
    return trial, bundle


def split(
    champions: pd.DataFrame, on_trial: pd.DataFrame, trial: Trial
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the served and the shadow forecasts, each ordered by series and day.

    `champions`: the champion's forecasts; `on_trial`: those of the release on trial.
    """
    stores = canary_stores(champions["store_id"], trial.share, trial.version)
    inside, tried = champions["store_id"].isin(stores), on_trial["store_id"].isin(stores)
    order = ["store_id", "item_id", "date"]
    served, shadow = (
        pd.concat(parts).sort_values(order, ignore_index=True)
        for parts in (
            (champions[~inside], on_trial[tried]),
            (champions[inside], on_trial[~tried]),
        )
    )
    return served, shadow
