"""What was known when, as matrices: entities × days, replayed in the order of knowledge.

A contract table becomes one matrix per column. `advance(origin)` writes every row that became
known by the close of `origin`, later knowledge over earlier, so at any origin the matrices hold
exactly the latest known row of each (entity, day). Walking many origins in rising order costs
one pass over the rows, however many origins there are.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.contract.schema import TABLES, close_of
from salescast.errors import SalescastError

Floats = NDArray[np.float64]
DAY = np.timedelta64(1, "D")


def day_number(day: object) -> int:
    """Return days since 1970-01-01."""
    return int(day_numbers([day])[0])


def day_numbers(dates: object) -> NDArray[np.int64]:
    """Return days since 1970-01-01, shape (n,)."""
    return np.asarray(dates, dtype="datetime64[D]").astype(np.int64)


class KnownMatrices:
    """The columns of one table as float matrices of shape (entities, days); NaN is unknown.

    `entities` holds the key columns beside `date`, one row each. Days count from `first_day`
    (days since 1970). `known_day` holds the day on which the latest row became known.
    """

    def __init__(
        self,
        table: str,
        rows: pd.DataFrame,
        entities: pd.DataFrame,
        first_day: int,
        days: int,
    ) -> None:
        """Order the rows by knowledge; rows of other entities or days are left out."""
        contract = TABLES[table]
        where = entity_rows(entities, rows)
        day = day_numbers(rows["date"]) - first_day
        kept = np.flatnonzero((where >= 0) & (day >= 0) & (day < days))
        order = kept[np.argsort(rows[contract.known_at].to_numpy()[kept], kind="stable")]
        self._known = rows[contract.known_at].to_numpy()[order]
        self._entity, self._day = where[order], day[order]
        self._columns = [c.name for c in contract.columns if c.kind in ("count", "number", "flag")]
        self._values = {
            name: rows[name].to_numpy(dtype=np.float64, na_value=np.nan)[order]
            for name in self._columns
        }
        self._values["known_day"] = day_numbers(self._known).astype(np.float64)
        self._shape = (len(entities), days)
        self._written = 0
        self._matrices = {name: np.full(self._shape, np.nan) for name in self._values}

    def advance(self, origin: object) -> None:
        """Write what became known by the close of `origin`; origins must not fall."""
        close = close_of(origin).to_datetime64()
        now = int(np.searchsorted(self._known, close, side="left"))
        if now < self._written:
            raise SalescastError(f"origin {origin} lies before one already walked; sort origins")
        new = slice(self._written, now)
        for name, matrix in self._matrices.items():
            matrix[self._entity[new], self._day[new]] = self._values[name][new]
        self._written = now

    def __getitem__(self, column: str) -> Floats:
        """Return the matrix of `column` as known at the last origin walked; do not write to it."""
        return self._matrices[column]


def known_series(sales: pd.DataFrame, plan: pd.DataFrame) -> pd.DataFrame:
    """Return the known series (store_id, item_id), sorted: those sold or planned."""
    key = ["store_id", "item_id"]
    pairs = pd.concat([distinct_rows(sales, key)[0], distinct_rows(plan, key)[0]]).drop_duplicates()
    return pairs.sort_values(key).reset_index(drop=True)


def entity_rows(entities: pd.DataFrame, rows: pd.DataFrame) -> NDArray[np.int64]:
    """Return which row of `entities`, by its columns, each of `rows` belongs to; −1: to none."""
    met, which = distinct_rows(rows, list(entities.columns))
    index = pd.MultiIndex.from_frame(entities)
    found: NDArray[np.int64] = index.get_indexer(pd.MultiIndex.from_frame(met))[which]
    return found


def distinct_rows(rows: pd.DataFrame, columns: list[str]) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Return the distinct values of `columns` as they first occur, and which of them each row has.

    What `drop_duplicates` and a MultiIndex do, several times as fast for few kinds of text.
    """
    codes, levels = zip(*(rows[name].factorize() for name in columns), strict=True)
    shape = [max(len(level), 1) for level in levels]
    which, met = pd.factorize(np.ravel_multi_index(codes, shape))
    parts = zip(columns, levels, np.unravel_index(met, shape), strict=True)
    return pd.DataFrame({name: level[at] for name, level, at in parts}), which
