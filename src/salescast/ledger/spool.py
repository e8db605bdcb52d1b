"""Rows that the ledger could not take, kept in files until it answers."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pandas as pd
import sqlalchemy as sa

from salescast.data.files import read_frame, write_frame
from salescast.errors import DataQualityError, StoreUnavailableError
from salescast.ledger.ledger import Ledger

log = logging.getLogger("salescast")

WRITERS: Mapping[str, Callable[[Ledger, pd.DataFrame], int]] = {
    "forecasts": Ledger.record_forecasts,
    "shadow": partial(Ledger.record_forecasts, shadow=True),
    "orders": Ledger.record_orders,
}
"""How each kind of rows gets into the ledger; writing the same rows again does nothing."""
DAMAGED = "damaged"


class Spool:
    """A folder of rows that wait for the ledger behind `url`."""

    def __init__(self, folder: Path, url: str) -> None:
        """Name the folder, which need not exist, and the ledger."""
        self._folder, self._url = folder, url

    @property
    def waiting(self) -> list[Path]:
        """The files that wait, oldest first."""
        return sorted(self._folder.glob("*.parquet"))

    def record(self, tables: Mapping[str, pd.DataFrame], sequence: int = 0) -> bool:
        """Write rows into the ledger, those that wait first; return whether it has them.

        Where it does not answer, or its journal does not reach promotion `sequence`, the rows wait.
        A row's `made_at` is now, also of those that wait.
        """
        now = datetime.now(UTC).replace(tzinfo=None)
        stamped = {kind: rows.assign(made_at=now) for kind, rows in tables.items() if len(rows)}
        try:
            with Ledger(self._url) as ledger:
                ledger.require_promotion(sequence)
                self.catch_up(ledger)
                for kind, rows in stamped.items():
                    WRITERS[kind](ledger, rows)
        except StoreUnavailableError as error:
            for kind, rows in stamped.items():
                write_frame(self._folder / f"{now:%Y%m%dT%H%M%S.%f}-{kind}.parquet", rows)
            log.warning("%s wait for the ledger: %s", ", ".join(stamped), error)
            return False
        return True

    def catch_up(self, ledger: Ledger) -> int:
        """Write the rows that wait, oldest first, and return how many were new.

        A file that is torn or not ours is moved to the folder `damaged`, and the log names it.
        Raises StoreUnavailableError where the ledger does not answer; the rest then waits on.
        """
        return sum(self._write(ledger, path) for path in self.waiting)

    def _write(self, ledger: Ledger, path: Path) -> int:
        try:
            new = WRITERS[path.stem.rpartition("-")[2]](ledger, _rows(path))
        except (DataQualityError, sa.exc.DBAPIError, LookupError, TypeError, ValueError) as error:
            if path.exists():  # else another process has written it meanwhile
                self._set_aside(path, error)
            return 0
        path.unlink(missing_ok=True)
        return new

    def _set_aside(self, path: Path, error: Exception) -> None:
        kept = self._folder / DAMAGED / path.name
        kept.parent.mkdir(exist_ok=True)
        path.replace(kept)
        reason = str(getattr(error, "orig", error)) or type(error).__name__
        log.warning("%s is no file of the spool and was not recorded: %s", kept, reason)


def _rows(path: Path) -> pd.DataFrame:
    rows = read_frame(path, "forecast")
    return rows.assign(degraded=rows["degraded"].map(list)) if "degraded" in rows else rows
