"""CSV and Parquet files in the contract's columns.

`<table>.csv`, `<table>.parquet`, `<table>/*.csv` and `<table>/*.parquet` are read, all that exist.
Every CSV value is read as text first, so ids keep their leading zeros; empty means unknown.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from salescast.contract.schema import TABLES
from salescast.data.delivery import Feed, fill_known, known_between
from salescast.errors import DataQualityError, FeedUnavailableError


def feed(folder: Path, tables: Sequence[str] = tuple(TABLES)) -> Feed:
    """Return a feed that reads `folder` anew on every call; optional tables may be absent.

    The feed raises DataQualityError naming the file, and the column and row where there is one.
    """

    def deliver(since: pd.Timestamp | None, until: pd.Timestamp) -> dict[str, pd.DataFrame]:
        found = {table: _files(folder, table) for table in tables}
        return {
            table: known_between(table, _read_table(table, paths), since, until)
            for table, paths in found.items()
            if paths
        }

    return deliver


def _files(folder: Path, table: str) -> list[Path]:
    patterns = (f"{table}.csv", f"{table}.parquet", f"{table}/*.csv", f"{table}/*.parquet")
    paths = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    if not paths and not TABLES[table].optional:
        hint = ', or set feed.weather = "open_meteo"' if table == "weather_observed" else ""
        raise DataQualityError(
            f"{folder / table}.csv: no such file; put {table}.csv, {table}.parquet "
            f"or a folder {table}/ there{hint}"
        )
    return paths


def _read_table(table: str, paths: Sequence[Path]) -> pd.DataFrame:
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    parts = [fill_known(table, readers[path.suffix](path), str(path)) for path in paths]
    return pd.concat(parts, ignore_index=True)


def _read_csv(path: Path) -> pd.DataFrame:
    content = _bytes(path)
    if not content.strip():
        raise DataQualityError(f"{path}: the file is empty; deliver it again")
    _check_utf8(path, content)
    header = _header(path, content)
    ragged: list[pc.InvalidRow] = []

    def note(row: pc.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    try:
        # One thread: only then does Arrow count the rows it complains about.
        table = pc.read_csv(
            pa.BufferReader(content),
            pc.ReadOptions(use_threads=False),
            pc.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
            pc.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
    except pa.ArrowInvalid as error:
        raise DataQualityError(f"{path}: not readable as CSV: {error}") from error
    _refuse_ragged(path, ragged)
    return table.to_pandas()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FeedUnavailableError(f"{path}: cannot be read: {error}") from error


def _check_utf8(path: Path, content: bytes) -> None:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataQualityError(
            f"{path}: line {line}: byte {content[error.start]:#04x} is not UTF-8; save it as UTF-8"
        ) from error


def _header(path: Path, content: bytes) -> list[str]:
    names = pc.open_csv(pa.BufferReader(content.lstrip().splitlines()[0] + b"\n")).schema.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataQualityError(f"{path}: column {', '.join(twice)} appears twice")
    return list(names)


def _refuse_ragged(path: Path, rows: Sequence[pc.InvalidRow]) -> None:
    # Arrow counts the header as row 1, as an editor does while no value holds a line break.
    for row in rows:
        raise DataQualityError(
            f"{path}: row {row.number - 1} (line {row.number}): {row.actual_columns} values "
            f"instead of {row.expected_columns}; the row or the file is truncated"
        )


def _read_parquet(path: Path) -> pd.DataFrame:
    content = _bytes(path)
    if not content:
        raise DataQualityError(f"{path}: the file is empty; deliver it again")
    try:
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            return file.read().to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise DataQualityError(f"{path}: not a readable Parquet file: {error}") from error
