"""The contract: what one row of each table means, when it was known, and what is absurd.

Long tables; dates and moments are naive UTC; rain in mm, temperature in °C, money in the
currency of `config.toml`. Every row says when it became known (`recorded_at`, `issued_at`).
A correction is a new row with a later moment, so the table as of any moment can be recovered.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
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
    """One column. `minimum` and `maximum` are what is physically or commercially possible."""

    name: str
    kind: Kind
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """One contract table. `key` and `known_at` (when the row became known) identify a row."""

    name: str
    key: tuple[str, ...]
    known_at: str
    columns: tuple[Column, ...]
    optional: bool = False
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Keep the column names at hand."""
        object.__setattr__(self, "names", tuple(column.name for column in self.columns))


_STORE = Column("store_id", "id", "the store")
_ITEM = Column("item_id", "id", "the item")
_LOCATION = Column("location_id", "id", "where the weather is measured")
_DATE = Column("date", "date", "the day the row speaks of")
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
            "recorded_at",
            (
                _STORE,
                _LOCATION,
                Column("latitude", "number", "degrees north", -90, 90, nullable=True),
                Column("longitude", "number", "degrees east", -180, 180, nullable=True),
                Column("timezone", "text", "IANA name"),
                Column("country", "text", "ISO 3166 code"),
                Column("opened_on", "date", "first day of trade", nullable=True),
                _RECORDED,
            ),
        ),
        Table(
            "items",
            ("item_id",),
            "recorded_at",
            (
                _ITEM,
                Column("name", "text", "what the planner reads"),
                Column("unit_price", "number", "list price", 0.01, 1e9),
                Column("unit_cost", "number", "what one unit costs us", 0, 1e9),
                Column("holding_cost_per_day", "number", "of one unit left at close", 0, 1e9),
                Column("goodwill_cost", "number", "of a lost sale", 0, 1e9),
                Column("pack_size", "count", "units in the smallest order", 1, 10_000),
                _RECORDED,
            ),
        ),
        Table(
            "sales",
            ("store_id", "item_id", "date"),
            "recorded_at",
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
            "recorded_at",
            (_STORE, _ITEM, _DATE, _PRICE, _PROMO, _RECORDED),
            optional=True,
        ),
        Table(
            "weather_observed",
            ("location_id", "date"),
            "recorded_at",
            (_LOCATION, _DATE, _RAIN, _TEMP, _RECORDED),
        ),
        Table(
            "weather_forecast",
            ("location_id", "issued_at", "date"),
            "issued_at",
            (
                _LOCATION,
                Column("issued_at", "moment", "when the forecast was issued, UTC"),
                _DATE,
                _RAIN,
                Column("precip_probability", "number", "chance of rain, 0…1", 0, 1),
                _TEMP,
            ),
            optional=True,
        ),
        Table(
            "stock",
            ("store_id", "item_id", "date"),
            "recorded_at",
            (
                _STORE,
                _ITEM,
                _DATE,
                Column("on_hand", "count", "units in the store at close", 0, 10_000_000),
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


def conform(table: str, rows: pd.DataFrame, source: str = "") -> pd.DataFrame:
    """Return `rows` in the contract's columns, order and dtypes.

    `source` (a file, a query) begins the message of what is raised.
    Raises DataQualityError naming the column and the first bad row (1-based, header not counted).
    """
    contract = TABLES[table]
    where = source or f"table {table}"
    missing = [c.name for c in contract.columns if c.name not in rows and not c.nullable]
    if missing:
        raise DataQualityError(
            f"{where}: column {', '.join(missing)} is missing; table {table} needs "
            f"{', '.join(contract.names)}"
        )
    if all(_kept(rows.get(c.name), c) for c in contract.columns):
        return rows[[*contract.names]].reset_index(drop=True)
    return pd.DataFrame(
        {c.name: _cast(rows.get(c.name), c, len(rows), where) for c in contract.columns}
    )


def _kept(values: Any, column: Column) -> bool:
    """Tell whether a column is as the contract has it already: most are, most of the time."""
    if values is None or values.dtype != DTYPES[column.kind]:
        return False
    if not column.nullable and values.isna().any():
        return False
    if column.kind in ("number", "count"):
        numbers = values.to_numpy("float64")
        whole = column.kind == "number" or bool((numbers == np.floor(numbers)).all())
        return whole and not np.isinf(numbers).any()
    moments = values.to_numpy()
    return column.kind != "date" or bool((moments == moments.astype("datetime64[D]")).all())


def _cast(values: Any, column: Column, length: int, where: str) -> pd.Series:
    if values is None:
        return pd.Series([None] * length, dtype=DTYPES[column.kind])
    values = values.reset_index(drop=True)
    cast = _CASTS[column.kind](values)
    bad = cast.isna() & (values.notna() | (not column.nullable))
    if bad.any():
        row = int(np.argmax(bad.to_numpy()))
        value, needed = values.iloc[row], f"{_ARTICLES[column.kind]} ({column.meaning})"
        found = "is missing, needed is" if pd.isna(value) else f"{value!r} is not"
        raise DataQualityError(
            f"{where}: column {column.name}, row {row + 1}: {found} {needed}{_hint(value, column)}"
        )
    return cast.astype(DTYPES[column.kind])


_ARTICLES: Mapping[Kind, str] = {
    "id": "an id",
    "text": "a text",
    "date": "a date",
    "moment": "a moment",
    "count": "a count",
    "number": "a number",
    "flag": "a flag",
}


def _hint(value: Any, column: Column) -> str:
    """Return what is accepted instead, and how to get there."""
    if pd.isna(value):
        return "; remove lines of totals, or deliver the row whole"
    text = str(value)
    if column.kind in ("number", "count") and re.fullmatch(r"-?[\d.]*,\d+", text):
        return (
            '; decimal commas, which come with semicolons, need feed.files.decimal = "," (and '
            "feed.files.separator)"
        )
    if column.kind == "count" and re.fullmatch(r"-?\d*\.\d+", text):
        return (
            "; goods sold by weight are not supported as decimals: count a smaller unit, such as "
            "100 g, by a factor in feed.files.columns, and price it so"
        )
    if column.kind == "flag":
        return "; accepted are true/false, t/f, yes/no, y/n, 1/0"
    if column.kind in ("date", "moment"):
        return "; write 2025-03-31, or name the format in feed.files.columns"
    return ""


def _text(values: pd.Series) -> pd.Series:
    return values.astype("str").where(values.notna())


def _number(values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    return numbers.where(np.isfinite(numbers))


def _count(values: pd.Series) -> pd.Series:
    numbers = _number(values)
    return numbers.where(numbers == np.floor(numbers))


def _moment(values: pd.Series) -> pd.Series:
    stamps = pd.to_datetime(values, errors="coerce", utc=True, format="ISO8601")
    return stamps.dt.tz_localize(None).astype("datetime64[us]")


def _date(values: pd.Series) -> pd.Series:
    return _moment(values).dt.normalize()


_FLAGS = dict.fromkeys(("true", "t", "yes", "y", "1", "1.0"), True) | dict.fromkeys(
    ("false", "f", "no", "n", "0", "0.0"), False
)


def _flag(values: pd.Series) -> pd.Series:
    return values.astype("str").str.strip().str.lower().map(_FLAGS).astype("boolean")


_CASTS = {
    "id": _text,
    "text": _text,
    "date": _date,
    "moment": _moment,
    "count": _count,
    "number": _number,
    "flag": _flag,
}
