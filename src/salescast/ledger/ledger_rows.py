"""Frames to rows of plain Python values and back, every float bit for bit."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from salescast.errors import DataQualityError

_DTYPES: tuple[tuple[type[Any], str], ...] = (
    (sa.DateTime, "datetime64[us]"),
    (sa.Boolean, "boolean"),
    (sa.Integer, "int64"),
    (sa.Float, "float64"),
    (sa.String, "str"),
)


def checked(table: sa.Table, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame, numbered from 0; raise DataQualityError where a column is missing."""
    missing = [column.name for column in table.c if column.name not in frame]
    if missing:
        raise DataQualityError(f"ledger, {table.name}: column {', '.join(missing)} is missing")
    return frame.reset_index(drop=True)


def as_rows(table: sa.Table, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the frame as rows of plain Python values for the table."""
    columns = [_plain(frame[column.name], column.type) for column in table.c]
    names = [column.name for column in table.c]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _plain(values: pd.Series, kind: sa.types.TypeEngine[Any]) -> list[Any]:
    if isinstance(kind, sa.DateTime):
        plain: list[Any] = values.to_numpy("datetime64[us]").astype(object).tolist()
    elif isinstance(kind, sa.JSON):
        plain = list(values)
    else:
        plain = values.astype(object).where(values.notna(), None).tolist()
    return plain


def refuse(frame: pd.DataFrame, bad: pd.DataFrame, expected: str) -> None:
    """Raise DataQualityError naming the first bad number."""
    if bad.to_numpy().any():
        row, column = np.argwhere(bad.to_numpy())[0]
        name, at = bad.columns[column], frame.iloc[row]
        raise DataQualityError(
            f"{at['store_id']} × {at['item_id']}, {at['date']:%Y-%m-%d}: {name} is {at[name]}, "
            f"not {expected}; nothing was written to the ledger"
        )


def filled(table: sa.Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row for the table: what is not given is empty, `made_at` is now.

    Raises DataQualityError for a key that the table does not have.
    """
    unknown = values.keys() - table.c.keys()
    if unknown:
        raise DataQualityError(f"ledger, {table.name}: no column {', '.join(sorted(unknown))}")
    given = {"made_at": datetime.now(UTC).replace(tzinfo=None)} | dict(values)
    return {c.name: given.get(c.name) for c in table.c if c.autoincrement is not True}


def as_frame(columns: Any, rows: Any) -> pd.DataFrame:
    """Return what a query answered, in the dtypes of its columns; JSON stays as objects."""
    values = zip(*rows, strict=True) if rows else [()] * len(columns)
    return pd.DataFrame(
        {
            column.name: pd.Series(list(part), dtype=_dtype(column.type))
            for column, part in zip(columns, values, strict=True)
        }
    )


def _dtype(kind: sa.types.TypeEngine[Any]) -> str:
    return next((dtype for base, dtype in _DTYPES if isinstance(kind, base)), "object")


def as_json(value: Any) -> str:
    """Return JSON in which every finite float reads back bit for bit; NaN and ±inf become null."""
    try:
        return json.dumps(value, allow_nan=False, default=_item)
    except ValueError:  # only where there is one: looking at every number first would be slow
        return json.dumps(_finite(value), allow_nan=False, default=_item)


def _item(value: Any) -> Any:
    return value.tolist()  # a NumPy number or array; anything else is a mistake and says so


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
