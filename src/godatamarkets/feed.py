"""The simulated retailer as a feed; a fork deletes this module with `src/godatamarkets/`."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from godatamarkets import START, Retailer, oracle
from godatamarkets.faults import parse
from salescast import settings
from salescast.contract.schema import TABLES, empty
from salescast.errors import ConfigError

Floats = NDArray[np.float64]


def open_feed(
    section: settings.Feed,
) -> Callable[[pd.Timestamp | None, pd.Timestamp], dict[str, pd.DataFrame]]:
    """Return a function that fetches the rows that became known in [since, until).

    `since` None means from the retailer's first day. Registered under `salescast.feeds`.
    Raises ConfigError for an unknown fault, or for weather from elsewhere.
    """
    if section.weather:
        raise ConfigError(
            f"feed.weather = {section.weather!r} needs feed.kind files or sql: "
            "simulated customers only know the simulated weather"
        )
    chosen = section.godatamarkets
    return Simulation(chosen.size, chosen.seed, chosen.faults).fetch


class Simulation:
    """The retailer kept open over the days of a replay: our orders fill its shelves.

    True demand and the best possible forecast are for the summary of a replay; no stage of the
    life cycle reads them.
    """

    def __init__(self, size: Literal["small", "demo"], seed: int, faults: Sequence[str]) -> None:
        """Open the stores. Raises ConfigError for an unknown fault."""
        try:
            self._retailer = Retailer(size, seed, faults)
        except ValueError as error:
            raise ConfigError(f"feed.godatamarkets: {error}") from error

    def fetch(self, since: pd.Timestamp | None, until: pd.Timestamp) -> dict[str, pd.DataFrame]:
        """Return the rows that became known in [since, until), from the first day by default."""
        first = START if since is None else max(START, since)
        last = until - pd.Timedelta(microseconds=1)
        if last < first:
            return {name: empty(name) for name in TABLES}
        rows = self._retailer.deliver(first, last)
        return {
            name: table[table[TABLES[name].known_at].between(first, until, inclusive="left")]
            for name, table in rows.items()
        }

    @property
    def series(self) -> pd.DataFrame:
        """Return store_id and item_id of every series, in the order of the arrays below."""
        return pd.DataFrame(self._retailer.series.names, columns=["store_id", "item_id"])

    def place(self, day: pd.Timestamp, orders: pd.DataFrame) -> None:
        """Order `units` per store_id and item_id at the close of `day`, of all others none."""
        every = self.series.merge(orders, on=["store_id", "item_id"], how="left")
        self._retailer.place(day, every.assign(units=every["units"].fillna(0).astype("int64")))

    def mend(self, day: pd.Timestamp) -> None:
        """Repair the tills and their export: what they spoiled by `day` is delivered whole."""
        self._retailer.mend(day)

    def fault(self, text: str) -> tuple[str, pd.Timestamp, int]:
        """Return a fault's name, first day and how many days it lasts (0: for good)."""
        places = [city.location_id for city in self._retailer.series.cities]
        items = [item.item_id for item in self._retailer.series.items]
        found = parse(text, places, items)
        return found.name, found.start, int(found.values.get("days", 0))

    def on_hand(self, day: pd.Timestamp) -> Floats:
        """Return the units of each series on the shelf at the close of `day`."""
        stock = self._retailer.deliver(day)["stock"]
        every = self.series.merge(stock, on=["store_id", "item_id"], how="left")
        return np.asarray(every["on_hand"].fillna(0).to_numpy(float))

    def true_demand(self, first: pd.Timestamp, last: pd.Timestamp) -> Floats:
        """Return true demand of the days `first` … `last`, (series, days); NaN on closed days."""
        a, b = self._retailer.reach(first), self._retailer.reach(last)
        demand = self._retailer.demand
        units = np.where(demand.trading, demand.units, np.nan)[:, a : b + 1]
        return np.asarray(units, dtype=np.float64)

    def paths(self, origin: pd.Timestamp, count: int, days: int) -> Floats:
        """Return sample paths of the best possible forecast, (series, paths, days)."""
        drawn = oracle.sample_paths(self._retailer, origin, count, days)
        return np.asarray(drawn.transpose(1, 0, 2), dtype=np.float64)
