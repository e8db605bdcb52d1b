"""Files: written whole or not at all, read strictly.

Stages hand over small files under `build/`; releases are read as if they had been tampered with.
"""

import json
import os
import stat
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from salescast.errors import DataQualityError, StoreUnavailableError

MAX_FILE_BYTES = 32 * 2**20
LEFT_BY = {
    "ingest": "../data",
    "validate": "quality.json",
    "features": "features.parquet",
    "backtest": "predictions.parquet",
    "train": "model.skops",
    "register": "registered.json",
    "gate": "decision.json",
}
"""Each step to a judged challenger, in order, and what it leaves in build/."""


def write_json(path: Path, value: Any) -> Path:
    """Write plain values; NaN becomes null."""
    text = json.dumps(plain(value), indent=2, sort_keys=True, allow_nan=False)
    return replace_text(path, text + "\n")


def replace_text(path: Path, text: str) -> Path:
    """Write text as UTF-8."""
    return replace(path, lambda part: part.write_text(text, encoding="utf-8"))


def plain(value: Any) -> Any:
    """Return `value` in JSON's own types: NaN is null, a moment or a path is text."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if value - value == 0.0 else None  # inf and NaN fail this
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def read_json(path: Path, stage: str) -> Any:
    """Return what `stage` wrote."""
    try:
        return as_json(present(path, stage).read_bytes())
    except ValueError as error:
        raise _damaged(path, stage, error) from error


def write_frame(path: Path, frame: pd.DataFrame) -> Path:
    """Write a frame as Parquet."""
    return replace(path, lambda part: frame.to_parquet(part, index=False))


def read_frame(path: Path, stage: str) -> pd.DataFrame:
    """Return the frame that `stage` wrote."""
    try:
        return pd.read_parquet(present(path, stage))
    except (ValueError, OSError) as error:  # Arrow's errors are both
        raise _damaged(path, stage, error) from error


def write_runs(path: Path, frame: pd.DataFrame, column: str) -> Path:
    """Write a frame as Parquet, each run of the same value in `column` a row group."""
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    value = frame[column].to_numpy()
    starts = [0, *(np.flatnonzero(value[1:] != value[:-1]) + 1), len(frame)]

    def write(part: Path) -> None:
        with pq.ParquetWriter(part, rows.schema) as writer:
            for start, stop in pairwise(starts):
                writer.write_table(rows.slice(start, stop - start), row_group_size=len(frame))

    return replace(path, write)


def read_runs(path: Path, stage: str) -> Iterator[pd.DataFrame]:
    """Yield the runs that `join_runs` joined, one after another."""
    with pq.ParquetFile(present(path, stage)) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group).to_pandas()


def join_runs(path: Path, parts: Mapping[Path, Sequence[Hashable]]) -> Path:
    """Join what `write_runs` wrote, run by run, and remove it; no more than a run is held at once.

    `parts`: per file the values of its runs. Runs come in the order of their values; of one value
    the files' in the order given.
    """
    runs = [
        (value, file, group)
        for file, values in enumerate(parts.values())
        for group, value in enumerate(values)
    ]

    def write(part: Path) -> None:
        files = [pq.ParquetFile(file) for file in parts]
        with pq.ParquetWriter(part, files[0].schema_arrow) as writer:
            for _, same in groupby(sorted(runs), key=itemgetter(0)):
                run = pa.concat_tables(files[file].read_row_group(group) for _, file, group in same)
                writer.write_table(run, row_group_size=len(run))

    replace(path, write)
    for file in parts:
        file.unlink()
    return path


def _damaged(path: Path, stage: str, error: Exception) -> DataQualityError:
    return DataQualityError(f"{path}: damaged ({error}); run `salescast stage {stage}` again")


def present(path: Path, stage: str) -> Path:
    """Return `path`; raise DataQualityError when `stage` has not written it: no retry helps."""
    if not path.exists():
        raise DataQualityError(f"{path} is missing; run `{missing_step(path.parent, stage)}` first")
    return path


def missing_step(build: Path, stage: str) -> str:
    """Return the command of the first step up to `stage` that has left nothing in `build`."""
    for step, name in LEFT_BY.items():
        if step == stage:
            break
        if not (build / name).exists():
            return "salescast ingest" if step == "ingest" else "salescast train"
    return f"salescast stage {stage}"


def replace(path: Path, write: Callable[[Path], Any]) -> Path:
    """Let `write` fill a temporary file next to `path`, then replace `path` in one step.

    Raises StoreUnavailableError when the disk is full or not writable; the old file stays.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for abandoned in path.parent.glob(f".{path.name}.*"):  # by a run that was killed
            abandoned.unlink(missing_ok=True)
        write(part)
        sync(part)
        part.replace(path)
        sync(path.parent)
    except OSError as error:
        with suppress(OSError):  # its folder may be a file
            part.unlink()
        raise StoreUnavailableError(
            f"cannot write {path}: {error.strerror or error}; free space or allow writing"
        ) from error
    return path


def sync(path: Path) -> None:
    """Wait until the disk holds a file's content, or a folder's names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_bytes(path: Path, most: int = MAX_FILE_BYTES) -> bytes:
    """Return a regular file's content.

    Raises DataQualityError where it is missing, a link, a device or larger than `most` bytes.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise DataQualityError(f"{path}: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise DataQualityError(f"{path}: not a regular file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise DataQualityError(f"{path}: {error.strerror}") from error
    finally:
        os.close(handle)
    if len(content) > most:
        raise DataQualityError(f"{path}: larger than {most:,} bytes")
    return content


def as_json(content: bytes | str) -> Any:
    """Return the value of JSON; raise ValueError for repeated names, NaN and bottomless nesting."""
    try:
        return json.loads(content, object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it nests too deep") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a name is repeated")
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
