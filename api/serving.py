"""From a release and tables to a snapshot, at start and whenever one of them changes.

Neither MLflow nor training code is needed: the release folder names who serves, and a copy of the
last good release lies beside the service, for when that folder cannot be read.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from api import snapshot as answers
from api.detail import describe
from api.snapshot import Snapshot
from salescast.data import store, versions
from salescast.errors import DataQualityError, SalescastError, StoreUnavailableError
from salescast.ledger.ledger import Ledger
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
KEPT_SNAPSHOTS = 2  # so that a rollback costs nothing
LAST_GOOD = "last_good"
PATIENCE_SECONDS = 5.0  # until a release that was refused is looked at again
log = logging.getLogger("salescast.api")


class Serving:
    """What is served now, or why nothing is. Only `refresh` changes it, by one assignment."""

    def __init__(self, settings: Settings) -> None:
        """Name where the releases and the data are; nothing is read yet."""
        self._settings = settings
        self._published = Releases(settings.releases)
        self._copies = Releases(settings.build / "serving")
        self._made: dict[tuple[str, str, Trial | None], Snapshot] = {}
        self._data: tuple[Any, str] = (None, "")
        self._release: Release | None = None
        self._snapshot: Snapshot | None = None
        self._failure: SalescastError | None = None
        self._refused: Release | None = None
        self._again = 0.0

    def current(self) -> Snapshot:
        """Return the snapshot; raise what keeps it from being there."""
        if self._snapshot is None:
            raise self._failure or StoreUnavailableError("the champion is being loaded")
        return self._snapshot

    async def keep_fresh(self, every_seconds: float) -> None:
        """Refresh now and then every so often, for ever."""
        while True:
            await asyncio.to_thread(self.refresh)
            await asyncio.sleep(every_seconds)

    def refresh(self) -> None:
        """Load release and data where they differ from what is served; never raise.

        A snapshot that is served stays served while releases, ledger or data cannot be read; then
        it says that it is degraded.
        """
        wanted: Release | None = None
        try:
            wanted = self._published.champion()
            if wanted != self._refused or time.monotonic() > self._again:
                self._serve(wanted, self._published)
                self._failure = self._refused = None
        except SalescastError as error:
            self._fail(error, wanted)
        except Exception:  # whatever it is, the service goes on and says so
            log.exception("loading failed in a way nobody foresaw")
            self._fail(StoreUnavailableError("loading failed; the log has the trace"), None)

    def _serve(self, release: Release, source: Releases) -> None:
        """Serve `release` from `source`; raise what is wrong with it, or with the data."""
        key = release.digest, self._data_version(), self._trial(release, source)
        if key not in self._made:
            files = source.files(release)
            made = load(self._settings, self._opened(files, release), key[1])
            self._made = dict([*self._made.items(), (key, made)][-KEPT_SNAPSHOTS:])
            log.info("made the answers of version %s on data %s", release.version, key[1])
        if source is self._published and self._release != release:
            self._keep(release)
        snapshot = self._made[key]
        if self._snapshot is not snapshot:
            log.info("serving model version %s, data version %s", release.version, key[1])
            self._snapshot = snapshot
        self._release = release

    def _opened(self, files: Mapping[str, bytes], release: Release) -> Bundle:
        return open_bundle(files, release.digest, self._settings.model.trusted_types)

    def _trial(self, release: Release, source: Releases) -> Trial | None:
        """Return what is on trial beside the champion; a copy is served alone."""
        try:
            trial = read_trial(self._settings.releases) if source is self._published else None
        except DataQualityError as error:
            log.debug("nothing is on trial: %s", error)
            return None
        return None if trial is None or trial.version == release.version else trial

    def _keep(self, release: Release) -> None:
        """Copy a release that could be loaded; without a copy the service works as well."""
        try:
            self._copies.publish(release.version, self._published.files(release))
            self._copies.point(release)
        except SalescastError as error:
            log.warning("no copy of version %s is kept: %s", release.version, error)

    def _data_version(self) -> str:
        """Return the version of the tables; they are read only where a file changed."""
        store.recover(self._settings.data)
        seen = tuple(_stamps(self._settings.data))
        if self._data[0] != seen:
            self._data = seen, versions.data_version(self._settings.data)
        return self._data[1]

    def _fail(self, error: SalescastError, wanted: Release | None) -> None:
        """Say what is wrong, once, and serve the last good release.

        What is damaged is looked at again after a while; what does not answer, at once.
        """
        if str(error) != str(self._failure):
            log.warning("%s: %s", type(error).__name__, error)
        self._failure = error
        if isinstance(error, DataQualityError):
            self._refused, self._again = wanted, time.monotonic() + PATIENCE_SECONDS
        if self._snapshot is None:
            try:
                self._serve(self._copies.champion(), self._copies)
            except SalescastError as missing:
                log.debug("no copy to start from: %s", missing)
        if self._snapshot is not None and LAST_GOOD not in self._snapshot.without:
            self._snapshot = answers.degrade(self._snapshot, LAST_GOOD)


def _stamps(data: Path) -> Iterable[tuple[str, int, int]]:
    try:
        for path in sorted(data.rglob("*.parquet")):
            found = path.stat()
            yield str(path), found.st_mtime_ns, found.st_size
    except OSError as error:  # replaced while we looked, or away
        raise StoreUnavailableError(f"the data cannot be read: {error}") from error


def load(settings: Settings, bundle: Bundle, data_version: str) -> Snapshot:
    """Forecast every series from the last origin, record the forecasts, and return them.

    Raises StoreUnavailableError where the data change meanwhile or the ledger does not answer.
    """
    tables = store.read_all(settings.data)
    if versions.data_version(settings.data) != data_version:
        raise StoreUnavailableError("the data changed while they were read; trying again")
    rows = feature_rows(bundle, tables)
    made = issue_rows(bundle, rows, tables, data_version)
    about = {**bundle.about, "release": bundle.digest}
    about["trained_until"] = bundle.model.trained_until
    detail = describe(bundle.model, rows, tables, bundle.contract, bundle.scorecard)
    issued = partial(issue_all, tables=tables, data_version=data_version)
    served, shadow = served_and_shadow(
        settings.releases, bundle, made, issued, settings.model.trusted_types
    )
    snapshot = answers.take(served, tables, bundle.contract, about)
    champion = {**snapshot.provenance, "model_version": bundle.version}
    snapshot = replace(snapshot, provenance=champion, detail=detail)
    with Ledger(settings.ledger_url) as ledger:  # last: what cannot be answered is not recorded
        now = datetime.now(UTC).replace(tzinfo=None)
        ledger.record_forecasts(served.assign(made_at=now))
        ledger.record_forecasts(shadow.assign(made_at=now), shadow=True)
    return snapshot
