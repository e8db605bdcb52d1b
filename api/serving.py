"""From registry and tables to a snapshot, at start and whenever champion or data change."""

import asyncio
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from api import snapshot as answers
from api.detail import describe
from api.snapshot import Snapshot
from salescast import features, store
from salescast.errors import NoChampionError, SalescastError, StoreUnavailableError
from salescast.forecasts import issue
from salescast.ledger import Ledger
from salescast.model import from_payload
from salescast.registry import Registry, Version
from salescast.schema import last_day
from salescast.settings import Settings

REFRESH_SECONDS = 5.0
log = logging.getLogger("salescast.api")


class Serving:
    """What is served now, or why nothing is. Only `refresh` changes it, by one assignment."""

    def __init__(self, settings: Settings) -> None:
        """Name where the champion and the data are; nothing is contacted yet."""
        self._settings = settings
        artifacts = settings.build / "mlartifacts"
        self._registry = Registry(settings.mlflow_uri, settings.product.model, artifacts)
        self._snapshot: Snapshot | None = None
        self._failure: SalescastError = StoreUnavailableError("the champion is being loaded")

    def current(self) -> Snapshot:
        """Return the snapshot; raise what keeps it from being there."""
        if self._snapshot is None:
            raise self._failure
        return self._snapshot

    async def keep_fresh(self, every_seconds: float) -> None:
        """Refresh now and then every so often, for ever."""
        while True:
            await asyncio.to_thread(self.refresh)
            await asyncio.sleep(every_seconds)

    def refresh(self) -> None:
        """Load champion and data where they differ from what is served; never raise.

        A snapshot that is served stays served while registry, ledger or data do not answer.
        """
        try:
            found = self._found()
            if self._snapshot is None or self._versions() != found[1:]:
                self._snapshot = load(self._settings, self._registry, *found)
                log.info("serving model version %s, data version %s", *self._versions())
        except SalescastError as error:
            self._fail(error)
        except Exception:  # whatever it is, the service goes on and says 503
            log.exception("loading failed in a way nobody foresaw")
            self._fail(StoreUnavailableError("loading failed; the log has the trace"))

    def _found(self) -> tuple[Version, str, str]:
        champion = self._registry.version("champion")
        if champion is None:
            raise NoChampionError("no model has been promoted; run `salescast train` first")
        return champion, str(champion.number), store.data_version(self._settings.data)

    def _versions(self) -> tuple[str, str]:
        served = self.current().provenance
        return served["model_version"], served["data_version"]

    def _fail(self, error: SalescastError) -> None:
        if str(error) != str(self._failure):
            log.warning("%s: %s", type(error).__name__, error)
        self._failure = error


def load(
    settings: Settings, registry: Registry, champion: Version, number: str, data_version: str
) -> Snapshot:
    """Forecast every series from the last origin, record the forecasts, and return them.

    Raises StoreUnavailableError where the data change meanwhile or a store does not answer.
    """
    payload, tables = registry.model(champion), store.read_all(settings.data)
    if store.data_version(settings.data) != data_version:
        raise StoreUnavailableError("the data changed while they were read; trying again")
    contract, origin = payload["contract"], last_day(tables)
    rows = features.build(tables, [origin], contract["horizon"], contract["weather"])
    model, versions = from_payload(payload["model"]), (number, data_version)
    made = issue(model, rows, contract["quantiles"], contract["critical"], versions)
    about = _about(settings.product.model, champion, payload["model"]["trained_until"])
    card = _scorecard(settings)
    detail = describe(model, rows, tables, contract, card)
    snapshot = replace(answers.take(made, tables, contract, about), detail=detail)
    with Ledger(settings.ledger_url) as ledger:  # last: what cannot be answered is not recorded
        ledger.record_forecasts(made.assign(made_at=datetime.now(UTC).replace(tzinfo=None)))
    return snapshot


def _scorecard(settings: Settings) -> dict[str, Any]:
    """Return the last backtest; nothing where none was made here."""
    path = settings.build / "scorecard.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def _about(name: str, champion: Version, trained_until: str) -> dict[str, Any]:
    return {
        "name": name,
        "run_id": champion.run_id,
        "trained_until": trained_until,
        "trained_on": champion.tags.get("data_version"),
        "git_commit": champion.tags.get("git_commit"),
        "quality_verdict": champion.tags.get("quality_verdict"),
    }
