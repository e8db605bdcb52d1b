"""What the ledger could not take while it did not answer: kept in files, written when it does."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from salescast.data.files import read_frame, write_frame
from salescast.errors import StoreUnavailableError
from salescast.ledger.ledger import Ledger
from salescast.settings import Settings

log = logging.getLogger("salescast")

WRITERS: Mapping[str, Callable[..., int]] = {
    "forecasts": Ledger.record_forecasts,
    "shadow": partial(Ledger.record_forecasts, shadow=True),
    "orders": Ledger.record_orders,
}
"""How each kind of rows gets into the ledger; writing the same rows again does nothing."""


def record(settings: Settings, kinds: Mapping[str, pd.DataFrame]) -> bool:
    """Write rows into the ledger, what waited first; where it does not answer, keep them.

    Returns whether the ledger has them. A row's `made_at` is now, also of those that wait.
    """
    now = datetime.now(UTC).replace(tzinfo=None)
    made = {kind: rows.assign(made_at=now) for kind, rows in kinds.items()}
    try:
        with Ledger(settings.ledger_url) as ledger:
            catch_up(settings, ledger)
            for kind, rows in made.items():
                WRITERS[kind](ledger, rows)
    except StoreUnavailableError as error:
        for kind, rows in made.items():
            if len(rows):
                write_frame(_spool(settings) / f"{now:%Y%m%dT%H%M%S.%f}-{kind}.parquet", rows)
        log.warning("the ledger waits for %s: %s", ", ".join(made), error)
        return False
    return True


def catch_up(settings: Settings, ledger: Ledger) -> int:
    """Write what waited, oldest first, and return how many rows were new.

    Raises StoreUnavailableError where the ledger does not answer; what is not written waits on.
    """
    new = 0
    for path in sorted(_spool(settings).glob("*.parquet")):
        rows: Any = read_frame(path, "forecast")
        if "degraded" in rows:
            rows["degraded"] = rows["degraded"].map(list)
        new += WRITERS[path.stem.rpartition("-")[2]](ledger, rows)
        path.unlink()
    return new


def _spool(settings: Settings) -> Path:
    return settings.build / "spool"
