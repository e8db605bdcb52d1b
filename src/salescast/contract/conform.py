"""Rows of any source in the contract's columns, order and dtypes."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from salescast.contract.schema import DTYPES, TABLES, Column, Kind
from salescast.errors import DataQualityError


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
    """Return whether a column is as the contract has it already: most are, most of the time."""
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
