"""CSV and Parquet files: one file a table, or a folder of files, below the inbox.

`<table>.csv`, `<table>.csv.gz`, `<table>.parquet`, in any case of letters, and every such file in a
folder `<table>` or `<table>.parquet`, however deep. CSV values are read as text first, so ids keep
their leading zeros; empty means unknown.
"""

import gzip
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from salescast.contract.schema import TABLES
from salescast.data.delivery import Delivery, Feed
from salescast.data.preparation import Source, prepare
from salescast.errors import DataQualityError, FeedUnavailableError


@dataclass(frozen=True)
class FileFormat:
    """How the files differ from the contract's columns. `columns`: by table, then by column."""

    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    names: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, Source]] = field(default_factory=dict)


def feed(
    folder: Path,
    tables: Sequence[str] = tuple(TABLES),
    form: FileFormat | None = None,
) -> Feed:
    """Return a feed that reads `folder` anew on every call; optional tables may be absent.

    It delivers every row known before `until`; what is stored already is for `new_rows` to find.
    Raises DataQualityError naming the file, and the column and row where there is one.
    """
    form = form or FileFormat()

    def deliver(_since: pd.Timestamp | None, _until: pd.Timestamp) -> Delivery:
        paths = {table: _files(folder, table, form) for table in TABLES}
        delivery, rows_read = Delivery(), dict[str, int]()
        zones = _zones(paths["stores"], form)
        for table in tables:
            if not paths[table]:
                _refuse_absent(folder, table)
            else:
                parts = {path: _read(path, table, form, zones) for path in paths[table]}
                delivery[table] = pd.concat(parts.values(), ignore_index=True)
                rows_read |= {str(path): len(rows) for path, rows in parts.items()}
        delivery.left_out, delivery.rows_read = tuple(_unread(folder, paths)), rows_read
        return delivery

    return deliver


def _zones(paths: Sequence[Path], form: FileFormat) -> dict[str, str]:
    """Return the time zone of each store and place, as far as the stores' files say."""
    parts = [_read(path, "stores", form, {}) for path in paths]
    if not parts:
        return {}
    stores = pd.concat(parts)
    by_place = dict(zip(stores["location_id"], stores["timezone"], strict=True))
    return by_place | dict(zip(stores["store_id"], stores["timezone"], strict=True))


def _read(path: Path, table: str, form: FileFormat, zones: Mapping[str, str]) -> pd.DataFrame:
    raw = _READERS[_suffix(path)](path, form)
    decimals = {} if form.decimal == "." else _with_decimals(table, form)
    return prepare(table, raw, str(path), {**form.columns.get(table, {}), **decimals}, zones)


def _with_decimals(table: str, form: FileFormat) -> dict[str, Source]:
    """Return the rule that reads each number of `table` with the files' decimal sign."""
    rules: dict[str, Source] = {}
    for column in TABLES[table].columns:
        rule = form.columns.get(table, {}).get(column.name)
        if column.kind in ("number", "count"):
            plain = {"column": rule} if isinstance(rule, str) else dict(rule or {})
            if rule is not None or column.name not in form.columns.get(table, {}):
                rules[column.name] = {"decimal": form.decimal} | plain
    return rules


def _files(folder: Path, table: str, form: FileFormat) -> list[Path]:
    """Return the files of `table`: those whose name, or whose folder's, is the table's."""
    pattern = form.names.get(table, "")
    entries = folder.glob(pattern) if pattern else (p for p in _visible(folder) if _is(p, table))
    paths = [
        p for entry in sorted(entries) for p in ([entry] if entry.is_file() else _below(entry))
    ]
    return [path for path in paths if _suffix(path) in _READERS]


def _is(path: Path, table: str) -> bool:
    return path.name.partition(".")[0].casefold() == table


def _visible(folder: Path) -> list[Path]:
    """Return the entries of a folder without hidden ones, which programs leave for themselves."""
    return [p for p in sorted(folder.iterdir()) if p.name[0] not in "._"] if folder.is_dir() else []


def _below(folder: Path) -> list[Path]:
    return [
        path
        for entry in _visible(folder)
        for path in ([entry] if not entry.is_dir() else _below(entry))
    ]


def _suffix(path: Path) -> str:
    suffixes = [suffix.casefold() for suffix in path.suffixes]
    return "".join(suffixes[-2:]) if suffixes[-1:] == [".gz"] else "".join(suffixes[-1:])


def _unread(folder: Path, paths: Mapping[str, Sequence[Path]]) -> list[str]:
    """Return a line for each visible file that belongs to no table or is of no kind we read."""
    known = {path for found in paths.values() for path in found}
    kinds = ", ".join(_READERS)
    lines = []
    for path in _below(folder):
        if path not in known:
            table = next((t for t in TABLES if t in {*path.relative_to(folder).parts[:-1]}), "")
            why = (
                f"only {kinds} are read"
                if table or any(_is(path, t) for t in TABLES)
                else (f"its name is no table's ({', '.join(TABLES)})")
            )
            lines.append(f"{path} is not read: {why}; save it as <table>.csv, or remove it")
    return lines


def _refuse_absent(folder: Path, table: str) -> None:
    if not TABLES[table].optional:
        hint = ', or set feed.weather = "open_meteo"' if table == "weather_observed" else ""
        present = ", ".join(path.name for path in _visible(folder)) or "nothing"
        raise DataQualityError(
            f"{folder / table}.csv: no such file; put {table}.csv, {table}.parquet "
            f"or a folder {table}/ there{hint}; found {present}"
        )


def _read_csv(path: Path, form: FileFormat) -> pd.DataFrame:
    content = _text(path, _bytes(path), form)
    header = _header(path, content, form)
    ragged: list[pc.InvalidRow] = []

    def note(row: pc.InvalidRow) -> str:
        if (row.text or "").strip(f' \t\r\n"{form.separator}'):
            ragged.append(row)
        return "skip"

    def parse(quote: str | bool) -> pa.Table:  # noqa: FBT001 - as the library has it
        # One thread: only then does Arrow count the rows it complains about.
        return pc.read_csv(
            pa.BufferReader(content),
            pc.ReadOptions(use_threads=False),
            pc.ParseOptions(
                delimiter=form.separator,
                quote_char=quote,
                newlines_in_values=bool(quote),
                invalid_row_handler=note,
            ),
            pc.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
            ),
        )

    try:
        table = parse('"')
        if ragged and b'"' in content:  # an inch sign is no quotation mark
            first, ragged[:] = ragged[:], []
            table = parse(False)
            ragged[:] = first if ragged else []
    except pa.ArrowInvalid as error:
        raise DataQualityError(f"{path}: not readable as CSV: {error}") from error
    _refuse_ragged(path, ragged)
    return table.to_pandas().map(_stripped_blank)


def _stripped_blank(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if _suffix(path).endswith(".gz") else content
    except gzip.BadGzipFile as error:
        raise DataQualityError(f"{path}: not a readable gzip file: {error}") from error
    except (OSError, EOFError) as error:
        raise FeedUnavailableError(f"{path}: cannot be read: {error}") from error


def _text(path: Path, content: bytes, form: FileFormat) -> bytes:
    """Return the file as UTF-8 with the line breaks of today, from its header on."""
    try:
        text = content.decode(form.encoding if form.encoding != "utf-8" else "utf-8-sig")
    except (UnicodeDecodeError, LookupError) as error:
        start = getattr(error, "start", 0)
        line = content.count(b"\n", 0, start) + 1
        byte = f"{content[start]:#04x}" if start < len(content) else ""
        raise DataQualityError(
            f"{path}: line {line}: byte {byte} is not {form.encoding.upper()}; save it as UTF-8, "
            "or set feed.files.encoding"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataQualityError(
            f"{path}: line {line}: a NUL byte; the file is damaged, export it again"
        )
    if "\n" not in text:
        text = text.replace("\r", "\n")
    text = re.sub(
        r"\A(?:\s*#[^\n]*\n|\s*\n)+", "", text
    )  # comments and blank lines before the header
    if not text.strip():
        raise DataQualityError(f"{path}: the file is empty; deliver it again")
    return text.encode()


def _header(path: Path, content: bytes, form: FileFormat) -> list[str]:
    first = content.lstrip().splitlines()[0].decode()
    for name, sign in (("semicolons", ";"), ("tabs", "\t")):
        if form.separator not in first and sign in first:
            raise DataQualityError(
                f"{path}: values are separated by {name}, not by {form.separator!r}; set "
                f"feed.files.separator = {sign!r}, and feed.files.decimal where it is a comma"
            )
    options = pc.ParseOptions(delimiter=form.separator)
    names = pc.open_csv(pa.BufferReader(first.encode() + b"\n"), parse_options=options).schema.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataQualityError(f"{path}: column {', '.join(twice)} appears twice")
    return list(names)


def _refuse_ragged(path: Path, rows: Sequence[pc.InvalidRow]) -> None:
    # Arrow counts the header as row 1, as an editor does while no value holds a line break.
    for row in rows:
        raise DataQualityError(
            f"{path}: row {row.number - 1} (line {row.number}): {row.actual_columns} values "
            f"instead of {row.expected_columns}; the row or the file is truncated, or a value "
            "holds the separator without quotation marks"
        )


def _read_parquet(path: Path, _form: FileFormat) -> pd.DataFrame:
    content = _bytes(path)
    if not content:
        raise DataQualityError(f"{path}: the file is empty; deliver it again")
    try:
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            return file.read().to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise DataQualityError(f"{path}: not a readable Parquet file: {error}") from error


_READERS: Mapping[str, Callable[[Path, FileFormat], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".parquet": _read_parquet,
}
