"""Keeps the snapshot fresh: loads the release and the data at start and whenever either changes.

It needs neither MLflow nor training code: the release folder names the champion, and the service
keeps a copy of the last good release for times when that folder cannot be read.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from api.model_inputs import model_inputs
from api.snapshot import Snapshot, make_snapshot
from salescast.data import store, versions
from salescast.errors import DataQualityError, SalescastError, StoreUnavailableError
from salescast.ledger import Ledger, Spool
from salescast.release import (
    Bundle,
    Release,
    Releases,
    Trial,
    feature_rows,
    issue_all,
    issue_rows,
    open_bundle,
    read_trial,
    served_and_shadow,
)
from salescast.settings import Settings

REFRESH_SECONDS = 1.0
KEPT_SNAPSHOTS = 2  # so that a rollback is instant
RETRY_SECONDS = 5.0  # until the service reads a refused release again
LAST_GOOD = "last_good"
log = logging.getLogger("salescast.api")


class Serving:
    """The current snapshot, or the reason why there is none. Only `refresh` changes it."""

    def __init__(self, settings: Settings) -> None:
        """Remember where releases and data are; read nothing yet."""
        self._settings = settings
        self._published = Releases(settings.releases)
        self._copies = Releases(settings.build / "serving")
        self._snapshots: dict[tuple[str, str, Trial | None], Snapshot] = {}
        self._data: tuple[Any, str] = (None, "")  # stamps of the files, version
        self._release: Release | None = None
        self._snapshot: Snapshot | None = None
        self._failure: SalescastError | None = None
        self._refused: Release | None = None
        self._retry_at = self._catch_up_at = 0.0

    def current(self) -> Snapshot:
        """Return the snapshot; raise the error that prevents it."""
        if self._snapshot is None:
            raise self._failure or StoreUnavailableError("the champion is being loaded")
        return self._snapshot

    async def keep_fresh(self, seconds: float) -> None:
        """Refresh now and every `seconds`, until cancelled."""
        while True:
            await asyncio.to_thread(self.refresh)
            await asyncio.sleep(seconds)

    def refresh(self) -> None:
        """Load release and data where they changed; never raise.

        While releases, ledger or data cannot be read, the last snapshot stays, marked as degraded.
        """
        champion: Release | None = None
        try:
            champion = self._published.champion()
            if champion != self._refused or time.monotonic() > self._retry_at:
                self._serve(champion, self._published)
                self._failure = self._refused = None
                self._catch_up()
        except SalescastError as error:
            self._fail(error, champion)
        except Exception:  # the service goes on after any error
            log.exception("loading failed unexpectedly")
            self._fail(StoreUnavailableError("loading failed; the log has the trace"), None)

    def _catch_up(self) -> None:
        """Record the forecasts that wait for the ledger, where it answers again."""
        spool = open_spool(self._settings)
        if not spool.waiting or time.monotonic() < self._catch_up_at:
            return
        self._catch_up_at = time.monotonic() + RETRY_SECONDS
        try:
            with Ledger(self._settings.ledger_url) as ledger:
                ledger.require_promotion(self._release.sequence if self._release else 0)
                log.info("recorded %s rows that waited for the ledger", spool.catch_up(ledger))
        except StoreUnavailableError as error:
            log.debug("forecasts wait for the ledger: %s", error)

    def _serve(self, release: Release, source: Releases) -> None:
        """Serve `release` from `source`; raise what is wrong with it or with the data."""
        key = release.digest, self._data_version(), self._trial(release, source)
        if key not in self._snapshots:
            trusted = self._settings.model.trusted_types
            bundle = open_bundle(source.files(release), release.digest, trusted)
            added = key, load(self._settings, bundle, key[1], release.sequence)
            self._snapshots = dict([*self._snapshots.items(), added][-KEPT_SNAPSHOTS:])
            log.info("forecast with version %s on data %s", release.version, key[1])
        if source is self._published and self._release != release:
            self._keep_copy(release)
        if self._snapshot is not self._snapshots[key]:
            log.info("serving model version %s, data version %s", release.version, key[1])
            self._snapshot = self._snapshots[key]
        self._release = release

    def _trial(self, release: Release, source: Releases) -> Trial | None:
        """Return the trial next to the champion; a copy of a release is served alone."""
        try:
            trial = read_trial(self._settings.releases) if source is self._published else None
        except DataQualityError as error:
            log.debug("no version is on trial: %s", error)
            return None
        return None if trial is None or trial.version == release.version else trial

    def _keep_copy(self, release: Release) -> None:
        """Copy a release that loads; the service also works without a copy."""
        try:
            self._copies.publish(release.version, self._published.files(release))
            self._copies.point(release)
        except SalescastError as error:
            log.warning("cannot keep a copy of version %s: %s", release.version, error)

    def _data_version(self) -> str:
        """Return the version of the tables; hash them only where a file changed."""
        store.recover(self._settings.data)
        stamps = tuple(_stamps(self._settings.data))
        if self._data[0] != stamps:
            self._data = stamps, versions.data_version(self._settings.data)
        return self._data[1]

    def _fail(self, error: SalescastError, champion: Release | None) -> None:
        """Log the error once, and serve the last good release.

        A damaged release is read again after RETRY_SECONDS, an unreachable store at once.
        """
        if str(error) != str(self._failure):
            log.warning("%s: %s", type(error).__name__, error)
        self._failure = error
        if isinstance(error, DataQualityError):
            self._refused, self._retry_at = champion, time.monotonic() + RETRY_SECONDS
        if self._snapshot is None:
            try:
                self._serve(self._copies.champion(), self._copies)
            except SalescastError as missing:
                log.debug("no copy to start from: %s", missing)
        if self._snapshot is not None and LAST_GOOD not in self._snapshot.degraded:
            self._snapshot = self._snapshot.degrade(LAST_GOOD)


def _stamps(data: Path) -> Iterable[tuple[str, int, int]]:
    try:
        for path in sorted(data.rglob("*.parquet")):
            stat = path.stat()
            yield str(path), stat.st_mtime_ns, stat.st_size
    except OSError as error:  # a file was replaced at this moment, or the folder is gone
        raise StoreUnavailableError(f"the data cannot be read: {error}") from error


def load(settings: Settings, bundle: Bundle, data_version: str, sequence: int = 0) -> Snapshot:
    """Forecast every series from the last origin, record the forecasts, and return them.

    `sequence`: the promotion that serves. Where the ledger does not answer, the forecasts wait.
    Raises StoreUnavailableError where the data change meanwhile.
    """
    tables = store.read_all(settings.data)
    if versions.data_version(settings.data) != data_version:
        raise StoreUnavailableError("the data changed while they were read; trying again")
    rows = feature_rows(bundle, tables)
    inputs = model_inputs(bundle.model, rows, tables, bundle.contract, bundle.scorecard)
    issued = issue_rows(bundle, rows, tables, data_version)
    challenge = partial(issue_all, tables=tables, data_version=data_version)
    trusted = settings.model.trusted_types
    served, shadow = served_and_shadow(settings.releases, bundle, issued, challenge, trusted)
    about = {**bundle.about, "release": bundle.digest, "trained_until": bundle.model.trained_until_}
    snapshot = make_snapshot(served, tables, inputs, about)
    champion = {**snapshot.provenance, "model_version": bundle.version}
    # Last: a forecast that fails is not recorded. It is served also while the ledger is away.
    open_spool(settings).record({"forecasts": served, "shadow": shadow}, sequence)
    return replace(snapshot, provenance=champion)


def open_spool(settings: Settings) -> Spool:
    """Return the rows that wait for the ledger."""
    return Spool(settings.build / "spool", settings.ledger_url)
