"""What every feed delivers: contract rows, each with the moment at which it became known."""

from collections.abc import Callable

import pandas as pd

from salescast.contract.schema import TABLES, conform

Feed = Callable[[pd.Timestamp | None, pd.Timestamp], dict[str, pd.DataFrame]]

ALWAYS_KNOWN = pd.Timestamp("1970-01-01")


def fill_known(table: str, raw: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return `raw` as contract rows; where it does not say when a row became known, assume it.

    A dated row is taken as known one second before its day ends, a store or an item as known
    always. Raises DataQualityError naming `source`, column and row.
    """
    known = TABLES[table].known_at
    if known in raw or known in TABLES[table].key:
        return conform(table, raw, source)
    rows = conform(table, raw.assign(**{known: ALWAYS_KNOWN}), source)
    if "date" in rows:
        rows[known] = rows["date"] + pd.Timedelta(days=1) - pd.Timedelta(seconds=1)
    return rows


def known_between(
    table: str, rows: pd.DataFrame, since: pd.Timestamp | None, until: pd.Timestamp
) -> pd.DataFrame:
    """Return the rows known in [since, until), and with them those known always.

    A store added to a file without moments must not be missed; storing twice is harmless.
    """
    known = rows[TABLES[table].known_at]
    fresh = known < until
    if since is not None:
        fresh &= (known >= since) | (known == ALWAYS_KNOWN)
    return rows[fresh].reset_index(drop=True)
