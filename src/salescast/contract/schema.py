"""The contract: what one row of each table means, when it was known, and its possible values.

Long tables; dates and moments are naive UTC; rain in mm, temperature in °C, money in the
currency of `config.toml`. Every row has the moment at which it became known (`recorded_at`).
A correction is a new row with a later moment, so the table as of any moment can be recovered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import pandas as pd

from salescast.errors import DataQualityError

Kind = Literal["id", "text", "date", "moment", "count", "number", "flag"]
Tables = Mapping[str, pd.DataFrame]

DTYPES: Mapping[Kind, str] = {
    "id": "str",
    "text": "str",
    "date": "datetime64[us]",
    "moment": "datetime64[us]",
    "count": "int64",
    "number": "float64",
    "flag": "boolean",
}


@dataclass(frozen=True)
class Column:
    """One column. `minimum` and `maximum` are what is physically or commercially possible.

    `optional`: may be absent, and is not stored where nothing is known of it.
    """

    name: str
    kind: Kind
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    nullable: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Table:
    """One contract table. `key` and `known_at` (when the row became known) identify a row."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    known_at: str = "recorded_at"
    optional: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)


_STORE = Column("store_id", "id", "the store")
_ITEM = Column("item_id", "id", "the item")
_LOCATION = Column("location_id", "id", "where the weather is measured")
_DATE = Column("date", "date", "the day that the row is about")
_RECORDED = Column("recorded_at", "moment", "when the row became known, UTC")
_PRICE = Column("price", "number", "price per unit on that day", minimum=0.01, maximum=1e9)
_PROMO = Column("promo", "flag", "on promotion on that day")
_RAIN = Column("precip_mm", "number", "rain of the day, mm", minimum=0, maximum=500)
_TEMP = Column("temp_c", "number", "mean temperature of the day, °C", minimum=-60, maximum=55)

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table(
            "stores",
            ("store_id",),
            (
                _STORE,
                _LOCATION,
                Column("latitude", "number", "degrees north", -90, 90, nullable=True),
                Column("longitude", "number", "degrees east", -180, 180, nullable=True),
                Column("timezone", "text", "IANA name"),
                Column("country", "text", "ISO 3166 code"),
                Column("opened_on", "date", "first day of trade", nullable=True),
                _RECORDED,
                Column("region", "text", "ISO 3166-2, such as DE-BY", nullable=True, optional=True),
                Column(
                    "closed_on", "date", "first day closed for good", nullable=True, optional=True
                ),
            ),
        ),
        Table(
            "items",
            ("item_id",),
            (
                _ITEM,
                Column("name", "text", "name that the planner sees"),
                Column("unit_price", "number", "list price", 0.01, 1e9),
                Column("unit_cost", "number", "what one unit costs us", 0, 1e9),
                Column("holding_cost_per_day", "number", "of one unit left at close", 0, 1e9),
                Column("goodwill_cost", "number", "of a lost sale", 0, 1e9),
                Column("pack_size", "count", "units in the smallest order", 1, 10_000),
                _RECORDED,
                Column(
                    "delisted_on", "date", "first day not for sale", nullable=True, optional=True
                ),
            ),
        ),
        Table(
            "sales",
            ("store_id", "item_id", "date"),
            (
                _STORE,
                _ITEM,
                _DATE,
                Column("units", "count", "units sold", 0, 1_000_000),
                _PRICE,
                _PROMO,
                Column("sold_out", "flag", "stock hit zero that day", nullable=True),
                _RECORDED,
            ),
        ),
        Table(
            "plan",
            ("store_id", "item_id", "date"),
            (_STORE, _ITEM, _DATE, _PRICE, _PROMO, _RECORDED),
            optional=True,
        ),
        Table(
            "weather_observed",
            ("location_id", "date"),
            (_LOCATION, _DATE, _RAIN, _TEMP, _RECORDED),
        ),
        Table(
            "weather_forecast",
            ("location_id", "issued_at", "date"),
            (
                _LOCATION,
                Column("issued_at", "moment", "when the forecast was issued, UTC"),
                _DATE,
                _RAIN,
                Column("precip_probability", "number", "chance of rain, 0…1", 0, 1),
                _TEMP,
            ),
            known_at="issued_at",
            optional=True,
        ),
        Table(
            "stock",
            ("store_id", "item_id", "date"),
            (
                _STORE,
                _ITEM,
                _DATE,
                Column("on_hand", "count", "units in the store at close", -10_000_000, 10_000_000),
                Column("on_order", "count", "units ordered, not yet delivered", 0, 10_000_000),
                _RECORDED,
            ),
            optional=True,
        ),
    )
}


def close_of(day: Any) -> pd.Timestamp:
    """Return the first moment after `day`, UTC midnight: known before it is known at close."""
    return pd.Timestamp(day).normalize() + pd.Timedelta(days=1)


def known_by(table: str, rows: pd.DataFrame, origin: Any) -> pd.DataFrame:
    """Return the rows that were known at the close of `origin`, corrections and all."""
    known = rows[TABLES[table].known_at].to_numpy() < close_of(origin).to_datetime64()
    return rows.copy(deep=False) if known.all() else rows[known]


def latest(table: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the last known row of each key, ordered by key; of ties, the one that came last."""
    contract = TABLES[table]
    order = rows.sort_values(contract.known_at, kind="stable")
    return order.drop_duplicates([*contract.key], keep="last").sort_values([*contract.key])


def as_of(tables: Tables, origin: Any) -> dict[str, pd.DataFrame]:
    """Return every table as it was known at the close of `origin`."""
    return {name: known_by(name, rows, origin) for name, rows in tables.items()}


DAILY = ("sales", "weather_observed", "weather_forecast")


def last_updates(tables: Tables) -> list[pd.Timestamp]:
    """Return the last moment at which each daily table learned something."""
    present = [name for name in DAILY if name in tables and len(tables[name])]
    return [tables[name][TABLES[name].known_at].max() for name in present]


def last_day(tables: Tables) -> pd.Timestamp:
    """Return the latest origin: the last day on which something daily became known.

    Raises DataQualityError where no data are stored.
    """
    known = last_updates(tables)
    if not known:
        raise DataQualityError("no data are stored; run `salescast ingest` first")
    return max(known).normalize()


def empty(table: str) -> pd.DataFrame:
    """Return the table without rows, with the contract's dtypes."""
    return _empty(table).copy(deep=False)


@lru_cache
def _empty(table: str) -> pd.DataFrame:
    columns = TABLES[table].columns
    return pd.DataFrame({c.name: pd.Series(dtype=DTYPES[c.kind]) for c in columns})
