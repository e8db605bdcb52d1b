"""The tables themselves: monthly Parquet files that change together or not at all."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from salescast.contract.conform import conform
from salescast.contract.schema import DAILY, TABLES, empty
from salescast.errors import DataQualityError, StoreUnavailableError

_ARROW = {
    "id": pa.string(),
    "text": pa.string(),
    "date": pa.timestamp("us"),
    "moment": pa.timestamp("us"),
    "count": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
}

READERS = 2  # months held whole at once: more were no faster, and a large chain's are large

Keep = Callable[[pa.Table], pa.Table]
Memory = dict[Path, tuple[object, Any]]
_MEMORY: ContextVar[Memory | None] = ContextVar("memory", default=None)


@contextmanager
def rehearsing() -> Iterator[None]:
    """Within the block, read again only files that have changed, and let the system sync them.

    For a replay, which reads and writes the same tables hundreds of times: it survives a kill as
    before, but not a power cut. Others had better look twice and wait for the disk.
    """
    token = _MEMORY.set({})
    try:
        yield
    finally:
        _MEMORY.reset(token)


def read(data: Path, table: str, keep: Keep | None = None) -> pd.DataFrame:
    """Return the stored rows of `table`, oldest knowledge first; none where nothing is stored.

    `keep` filters each month as it is read, so that no more than its result is held.
    Raises DataQualityError naming the file that is damaged or lacks a column.
    """
    recover(data)
    files = sorted((data / table).glob("*.parquet"))
    if not files:
        return empty(table)
    if _MEMORY.get() is not None and keep is None:
        rows: pd.DataFrame = _known(data / table, lambda: _joined(files, table, map), files)
        return rows.copy(deep=False)
    with ThreadPoolExecutor(READERS) as pool:
        return _joined(files, table, pool.map, keep)


def _joined(files: Sequence[Path], table: str, each: Any, keep: Keep | None = None) -> pd.DataFrame:
    def kept(path: Path) -> pa.Table:
        return _month(path, table) if keep is None else keep(_month(path, table))

    return _frame(pa.concat_tables(list(each(kept, files))))


def _frame(rows: pa.Table) -> pd.DataFrame:
    return rows.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)


def _month(path: Path, table: str) -> pa.Table:
    return _known(path, lambda: _read_month(path, table), [path])


def _known(path: Path, read_it: Callable[[], Any], files: Sequence[Path]) -> Any:
    """Return what `read_it` reads of `files`, or what it read before if none has changed."""
    memory = _MEMORY.get()
    if memory is None:
        return read_it()
    states = [file.stat() for file in files]
    state = [(s.st_ino, s.st_size, s.st_mtime_ns) for s in states]
    if path not in memory or memory[path][0] != state:
        memory[path] = state, read_it()
    return memory[path][1]


def read_all(data: Path) -> dict[str, pd.DataFrame]:
    """Return every contract table, empty where nothing is stored."""
    return {table: read(data, table) for table in TABLES}


def read_part(data: Path, store_ids: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return every contract table with the rows of these stores and their places, and all items."""
    stores = read(data, "stores")
    places = stores.loc[stores["store_id"].isin(store_ids), "location_id"].unique()
    ids = {
        column: pa.array(list(values), pa.string())
        for column, values in (("store_id", store_ids), ("location_id", places))
    }

    def of_stores(rows: pa.Table) -> pa.Table:
        for column in set(ids) & set(rows.column_names):
            rows = rows.filter(pc.is_in(rows[column], ids[column]))
        return rows

    return {table: read(data, table, of_stores) for table in TABLES}


def read_days(data: Path) -> dict[str, pd.DataFrame]:
    """Return of the daily tables which day was spoken of when: each pair once."""

    def pairs(known: str) -> Keep:
        return lambda rows: rows.group_by(["date", known]).aggregate([])

    return {table: read(data, table, pairs(TABLES[table].known_at)) for table in DAILY}


def append(data: Path, delivery: Mapping[str, pd.DataFrame]) -> dict[str, int]:
    """Store the rows that are new and return how many there are of each table.

    A row whose key and known moment are stored already is dropped: delivering twice is harmless.
    All tables change together or none does, also under SIGKILL. Two appends wait for each other.
    Raises StoreUnavailableError where the disk is full or refuses; then nothing has changed.
    """
    with _writing(data):
        return _append(data, delivery)


def recover(data: Path) -> None:
    """Finish an append that was killed after its COMMIT; one killed before it never happened."""
    # Without the mark the staging is waste, or another process's at work: the next append clears.
    if _marker(data).exists():
        with _writing(data):
            pass


def _read_month(path: Path, table: str) -> pa.Table:
    schema = _schema(table)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            read = file.read(use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: a bent name
        raise DataQualityError(f"{path}: damaged ({error}); {_RESTORE}") from error
    absent = {c.name for c in TABLES[table].columns if c.optional} - {*read.schema.names}
    for name in absent:
        read = read.append_column(schema.field(name), pa.nulls(len(read), schema.field(name).type))
    for field in schema:
        if field.name not in read.schema.names or read.schema.field(field.name).type != field.type:
            raise DataQualityError(
                f"{path}: column {field.name} is missing or not {field.type}; {_RESTORE}"
            )
    return read.select(schema.names)


_RESTORE = "restore it with `dvc checkout --force data.dvc` or `dvc pull --force`"


def _schema(table: str) -> pa.Schema:
    return pa.schema([(column.name, _ARROW[column.kind]) for column in TABLES[table].columns])


def _append(data: Path, delivery: Mapping[str, pd.DataFrame]) -> dict[str, int]:
    written = {}
    try:
        for table, rows in delivery.items():
            written[table] = _stage(data, table, conform(table, rows, f"delivered {table}"))
        if any(written.values()):
            _commit(data)
    except BaseException:
        # A killed process cannot do this; there, the next append throws the staging away.
        if not _marker(data).exists():
            shutil.rmtree(_staging(data), ignore_errors=True)
        raise
    return written


def _stage(data: Path, table: str, rows: pd.DataFrame) -> int:
    new = 0
    months = rows[TABLES[table].known_at].to_numpy().astype("datetime64[M]")
    for month in np.unique(months):
        delivered = rows[months == month]
        path = data / table / f"{month}.parquet"
        stored = _month(path, table) if path.exists() else _schema(table).empty_table()
        merged = _merge(table, stored, delivered)
        if len(merged) > len(stored):
            new += len(merged) - len(stored)
            _write_synced(
                _staging(data) / table / path.name, _parquet(_known_columns(table, merged))
            )
    return new


def _merge(table: str, stored: pa.Table, delivered: pd.DataFrame) -> pa.Table:
    contract = TABLES[table]
    identity = list(dict.fromkeys((contract.known_at, *contract.key)))
    last = pc.max(stored[contract.known_at]).as_py()
    later = last is None or delivered[contract.known_at].min() > last  # none repeats a stored row
    rows = delivered if later else pd.concat([_frame(stored), delivered])
    once = rows.drop_duplicates(identity, keep="first")
    merged = pa.Table.from_pandas(once, schema=_schema(table), preserve_index=False)
    merged = merged.sort_by([(column, "ascending") for column in identity])
    return pa.concat_tables([stored, merged]) if later else merged


def _known_columns(table: str, rows: pa.Table) -> pa.Table:
    """Return the rows without the optional columns of which nothing is known."""
    optional = [c.name for c in TABLES[table].columns if c.optional]
    return rows.drop_columns([name for name in optional if rows[name].null_count == len(rows)])


def _parquet(rows: pa.Table) -> bytes:
    # Without pandas' and Arrow's own metadata the bytes depend on the rows alone; the page
    # checksums turn a flipped bit into an error where the disk or a copy lies.
    sink = pa.BufferOutputStream()
    pq.write_table(
        rows.combine_chunks().replace_schema_metadata(None),
        sink,
        compression="zstd",
        store_schema=False,
        write_page_checksum=True,
    )
    return bytes(sink.getvalue())


def _write_synced(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        _sync(file.fileno())


def _commit(data: Path) -> None:
    data.mkdir(parents=True, exist_ok=True)
    if data.stat().st_dev != _staging(data).stat().st_dev:
        raise OSError("data/ and build/ must lie on one file system")
    for folder in _staging(data).iterdir():
        _sync_folder(folder)
    _write_synced(_staging(data) / "MARK", b"")
    (_staging(data) / "MARK").replace(_marker(data))
    _sync_folder(_staging(data))
    _recover(data)


def _recover(data: Path) -> None:
    staging = _staging(data)
    if _marker(data).exists():
        for path in sorted(staging.glob("*/*.parquet")):
            target = data / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)  # noqa: PTH105 - the tests kill the process here
            _sync_folder(target.parent)
    if staging.exists():
        shutil.rmtree(staging)


def _staging(data: Path) -> Path:
    return data.parent / "build" / "incoming"


def _marker(data: Path) -> Path:
    return _staging(data) / "COMMIT"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        _sync(handle)
    finally:
        os.close(handle)


def _sync(handle: int) -> None:
    if _MEMORY.get() is None:
        os.fsync(handle)


@contextmanager
def _writing(data: Path) -> Iterator[None]:
    build = data.parent / "build"
    try:
        build.mkdir(parents=True, exist_ok=True)
        with (build / "incoming.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # freed by the system when the process dies
            _recover(data)
            yield
    except OSError as error:
        outcome = "the next run finishes it" if _marker(data).exists() else "nothing was stored"
        raise StoreUnavailableError(
            f"cannot write to {data}: {error}; {outcome}; free space or allow writing, then rerun"
        ) from error
