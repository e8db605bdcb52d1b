"""The simulated retailer as a feed; a fork deletes this module with `src/godatamarkets/`."""

from collections.abc import Callable, Sequence
from typing import Literal

import pandas as pd

from salescast.errors import ConfigError
from salescast.schema import TABLES, empty


def feed(
    size: Literal["small", "demo"], seed: int, faults: Sequence[str]
) -> Callable[[pd.Timestamp | None, pd.Timestamp], dict[str, pd.DataFrame]]:
    """Return a function that fetches the rows that became known in [since, until).

    `since` None means from the retailer's first day. Raises ConfigError for an unknown fault.
    """
    from godatamarkets import START, Retailer

    try:
        retailer = Retailer(size, seed, faults)
    except ValueError as error:
        raise ConfigError(f"feed.godatamarkets: {error}") from error

    def fetch(since: pd.Timestamp | None, until: pd.Timestamp) -> dict[str, pd.DataFrame]:
        first = START if since is None else max(START, since)
        last = until - pd.Timedelta(microseconds=1)
        if last < first:
            return {name: empty(name) for name in TABLES}
        rows = retailer.deliver(first, last)
        return {
            name: table[table[TABLES[name].known].between(first, until, inclusive="left")]
            for name, table in rows.items()
        }

    return fetch
