"""The rows to judge, the rows they are judged by, and both together as matrices."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.contract.panel import KnownMatrices, day_numbers, distinct_rows
from salescast.contract.schema import Tables, empty

RECENT = 56  # days of history that say what is usual: prices, delays
OLDEST = 18_263  # days: what is older is a typing error and must not widen a matrix


@dataclass(frozen=True)
class Matrices:
    """Latest known values of a table, shape (entities, days from `first`); NaN is unknown."""

    entities: pd.DataFrame
    first: int
    days: NDArray[np.int64]
    values: KnownMatrices


@dataclass(frozen=True)
class Scope:
    """`fresh` rows are judged; `stored` ones are history. Nothing is known from `until` on."""

    fresh: Tables
    stored: Tables
    until: pd.Timestamp

    @property
    def last_day(self) -> int:
        """Return the last day that has closed or begun by `until`, in days since 1970."""
        return int(day_numbers([self.until - pd.Timedelta(microseconds=1)])[0])

    def fresh_days(self, table: str) -> NDArray[np.int64]:
        """Return the plausible days of the new rows, sorted."""
        days = np.unique(day_numbers(self.rows(table)["date"]))
        return days[(days <= self.last_day) & (days > self.last_day - OLDEST)]

    def rows(self, table: str) -> pd.DataFrame:
        """Return the fresh rows of `table`; none if it was not delivered."""
        return self.fresh[table] if table in self.fresh else empty(table)

    def history(self, table: str, days: int) -> pd.DataFrame:
        """Return the stored rows of the `days` before the first fresh one, and what follows."""
        stored = self.stored.get(table)
        if stored is None or stored.empty:
            return empty(table)
        fresh = self.fresh_days(table)
        first = (fresh[0] if len(fresh) else self.last_day) - days
        return stored[stored["date"].to_numpy() >= np.datetime64(int(first), "D")]

    def both(self, table: str, days: int) -> pd.DataFrame:
        """Return the history of `days` days and the fresh rows with plausible dates."""
        fresh = self.rows(table)
        when = day_numbers(fresh["date"])
        fresh = fresh[(when <= self.last_day) & (when > self.last_day - OLDEST)]
        history = self.history(table, days)
        return pd.concat([history, fresh]) if len(history) else fresh

    def matrices(self, table: str, days: int) -> Matrices | None:
        """Return the rows of `both` as matrices over every day until the last; None for no rows."""
        rows = self.both(table, days)
        if rows.empty:
            return None
        entities, _ = distinct_rows(
            rows, [c for c in ("store_id", "item_id", "location_id") if c in rows]
        )
        first = int(day_numbers([rows["date"].min()])[0])
        length = self.last_day - first + 1
        values = KnownMatrices(table, rows, entities, first, length)
        values.advance(self.until)
        return Matrices(entities, first, np.arange(first, first + length), values)

    @cached_property
    def sales(self) -> Matrices | None:
        """Return half a year of sales before the fresh ones, and these."""
        return self.matrices("sales", 182)

    @cached_property
    def observed(self) -> Matrices | None:
        """Return four years of observed weather, and the fresh one."""
        return self.matrices("weather_observed", 1461)

    def places(self, sales: Matrices) -> dict[str, NDArray[np.bool_]]:
        """Return for each place which series of `sales` are sold there."""
        stores = self.stores.drop_duplicates("store_id", keep="last").set_index("store_id")
        place = stores["location_id"].reindex(sales.entities["store_id"])
        return {name: (place == name).to_numpy() for name in place.dropna().unique()}

    @cached_property
    def due_after(self) -> int:
        """Return after how many days a day's sales have usually arrived; 1 where that is irregular.

        It is irregular after a first load, whose rows all became known at one moment.
        """
        rows = self.both("sales", RECENT)
        delay = (rows["recorded_at"] - rows["date"]) / pd.Timedelta(days=1)
        soonest, latest = delay.quantile([0.05, 0.95])
        return int(np.ceil(max(latest, 1.0))) if latest - soonest <= 7 else 1

    @cached_property
    def usual_prices(self) -> pd.Series:
        """Return the median price of each series lately, by key."""
        return median_prices(self.history("sales", RECENT))

    @cached_property
    def stores(self) -> pd.DataFrame:
        """Return every row of stores, the one known first in front."""
        return _all_known("stores", self.stored, self.fresh)

    @cached_property
    def items(self) -> pd.DataFrame:
        """Return every row of items, the one known first in front."""
        return _all_known("items", self.stored, self.fresh)


def as_dates(days: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """Return days since 1970 as dates."""
    return days.astype("datetime64[D]").astype("datetime64[us]")


def median_prices(rows: pd.DataFrame) -> pd.Series:
    """Return the median price of each series of `rows`, by key."""
    return rows.groupby(["store_id", "item_id"])["price"].median().rename("usual")


def _all_known(table: str, stored: Tables, fresh: Tables) -> pd.DataFrame:
    parts = [tables[table] for tables in (stored, fresh) if table in tables]
    return pd.concat([empty(table), *parts]).sort_values("recorded_at", kind="stable")
