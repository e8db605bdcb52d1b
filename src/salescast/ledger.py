"""What was served, decided and alarmed, and what came true: the only user of SQL.

SQLite by default, PostgreSQL by URL. Nothing is ever changed or deleted: a forecast is written
once, a corrected outcome is a new row with a later `recorded_at`. Writing the same row again does
nothing, so every call may be repeated after a crash. Days and moments are naive UTC.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NotRequired, Self, TypedDict, Unpack

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from salescast.errors import ConfigError, DataQualityError, StoreUnavailableError
from salescast.schema import close_of

SCHEMA_VERSION = 1
PATIENCE_SECONDS = 10  # for another writer's lock or a connection
_CREATION_LOCK = 7_025_001  # any number no one else locks in this database
_QUANTILE = re.compile(r"p\d\d(\.\d+)?")

_metadata = sa.MetaData()
_versions = sa.Table(
    "schema_version", _metadata, sa.Column("version", sa.Integer, primary_key=True)
)
_forecasts = sa.Table(
    "forecasts",
    _metadata,
    sa.Column("receipt_id", sa.String, primary_key=True),
    sa.Column("store_id", sa.String, nullable=False),
    sa.Column("item_id", sa.String, nullable=False),
    sa.Column("origin", sa.DateTime, nullable=False, index=True),
    sa.Column("date", sa.DateTime, primary_key=True, index=True),
    sa.Column("lead_time", sa.Integer, nullable=False),
    sa.Column("issued_at", sa.DateTime),
    sa.Column("mean", sa.Double, nullable=False),
    sa.Column("quantiles", sa.JSON, nullable=False),
    sa.Column("stock_target", sa.Double, nullable=False),
    sa.Column("model_version", sa.String, nullable=False),
    sa.Column("data_version", sa.String, nullable=False),
    sa.Column("degraded", sa.JSON, nullable=False),
    sa.Column("made_at", sa.DateTime, nullable=False),
)
_outcomes = sa.Table(
    "outcomes",
    _metadata,
    sa.Column("store_id", sa.String, primary_key=True),
    sa.Column("item_id", sa.String, primary_key=True),
    sa.Column("date", sa.DateTime, primary_key=True, index=True),
    sa.Column("recorded_at", sa.DateTime, primary_key=True),
    sa.Column("units", sa.BigInteger, nullable=False),
    sa.Column("sold_out", sa.Boolean),
)
_decisions = sa.Table(
    "decisions",
    _metadata,
    sa.Column("decision_id", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("model_version", sa.String, nullable=False),
    sa.Column("champion_version", sa.String),
    sa.Column("verdict", sa.String, nullable=False),
    sa.Column("checks", sa.JSON, nullable=False),
    sa.Column("origin", sa.DateTime, nullable=False),
    sa.Column("approver", sa.String),
    sa.Column("reason", sa.String),
    sa.Column("made_at", sa.DateTime, nullable=False),
)
_alarms = sa.Table(
    "alarms",
    _metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("origin", sa.DateTime, primary_key=True),
    sa.Column("subject", sa.String, primary_key=True),
    sa.Column("severity", sa.Enum("page", "ticket", native_enum=False), nullable=False),
    sa.Column("evidence", sa.JSON, nullable=False),
    sa.Column("runbook", sa.String),
    sa.Column("made_at", sa.DateTime, nullable=False),
)


class Decided(TypedDict):
    """A decision about a model. `made_at` is now where it is not given."""

    kind: str
    model_version: str
    champion_version: str | None
    verdict: str
    checks: Sequence[Mapping[str, Any]]
    origin: datetime
    approver: NotRequired[str | None]
    reason: NotRequired[str | None]
    made_at: NotRequired[datetime]


class Ledger:
    """The ledger behind a SQLAlchemy URL; its tables are made on first use.

    Every method raises StoreUnavailableError when the database does not answer.
    """

    def __init__(self, url: str) -> None:
        """Prepare to connect; raise ConfigError for a URL that is neither SQLite nor PostgreSQL."""
        self._engine = _engine(url)
        self._ready = False

    def __enter__(self) -> Self:
        """Return the ledger, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        self._engine.dispose()

    def record_forecasts(self, frame: pd.DataFrame) -> int:
        """Write served forecasts, one row per receipt and date; return how many were new.

        Columns: those of `forecasts.issue` and made_at; others are left out.
        Raises DataQualityError where a column is missing or a number is not finite.
        """
        labels = [name for name in frame if _QUANTILE.fullmatch(str(name))]
        numbers = frame[labels].astype("float64")
        packed = frame.assign(quantiles=numbers.to_dict("records"))
        rows = _rows(_forecasts, packed)
        _refuse(frame, ~np.isfinite(numbers.join(frame[["mean", "stock_target"]])), "finite")
        return self._insert(_forecasts, rows)

    def forecasts(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        origin: datetime | None = None,
        model_version: str | None = None,
    ) -> pd.DataFrame:
        """Return the forecasts for dates from `since` to `until`, both included.

        One column per quantile (p05 …), NaN where a forecast has none of that level.
        """
        at, wanted = _forecasts.c, sa.select(_forecasts)
        wanted = _between(wanted, at.date, since, until)
        if origin is not None:
            wanted = wanted.where(at.origin == _moment(origin))
        if model_version is not None:
            wanted = wanted.where(at.model_version == model_version)
        return self._read_forecasts(wanted)

    def receipt(self, receipt_id: str) -> pd.DataFrame:
        """Return the forecast that a receipt stands for, a row per date; empty if there is none."""
        return self._read_forecasts(
            sa.select(_forecasts).where(_forecasts.c.receipt_id == receipt_id)
        )

    def _read_forecasts(self, wanted: sa.Select[Any]) -> pd.DataFrame:
        at = _forecasts.c
        order = (at.origin, at.store_id, at.item_id, at.date, at.made_at, at.receipt_id)
        frame = self._read(wanted.order_by(*order))
        levels = pd.DataFrame(list(frame["quantiles"]), index=frame.index, dtype="float64")
        at_mean = frame.columns.get_loc("mean") + 1
        rising = levels[sorted(levels, key=lambda label: float(label[1:]))]
        rest = frame.drop(columns="quantiles")
        return pd.concat([rest.iloc[:, :at_mean], rising, rest.iloc[:, at_mean:]], axis=1)

    def record_outcomes(self, frame: pd.DataFrame) -> int:
        """Write what was sold, one row per series, date and recorded_at; return how many were new.

        Columns: store_id, item_id, date, recorded_at, units, sold_out (nullable); others are left
        out. Raises DataQualityError where a column is missing or units are no whole number ≥ 0.
        """
        rows = _rows(_outcomes, frame)
        units = pd.to_numeric(frame["units"]).astype("float64")
        _refuse(frame, ~((units >= 0) & (units % 1 == 0)).to_frame(), "a whole number ≥ 0")
        return self._insert(_outcomes, rows)

    def outcomes(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        as_of: datetime | None = None,
    ) -> pd.DataFrame:
        """Return the last known outcome of each series and date from `since` to `until`, included.

        `as_of`: as it was known at the close of that day; default: everything known.
        """
        at = _outcomes.c
        key = (at.store_id, at.item_id, at.date)
        age = sa.func.row_number().over(partition_by=key, order_by=at.recorded_at.desc())
        known = _between(sa.select(_outcomes, age.label("age")), at.date, since, until)
        if as_of is not None:
            known = known.where(at.recorded_at < close_of(as_of).to_pydatetime())
        ranked = known.subquery()
        columns = [ranked.c[column.name] for column in at]
        last = sa.select(*columns).where(ranked.c.age == 1)
        return self._read(last.order_by(*(ranked.c[column.name] for column in key)))

    def record_decision(self, **decision: Unpack[Decided]) -> int:
        """Write a decision and return its id."""
        row = _complete(_decisions, decision)
        with self._transaction() as connection:
            made = connection.execute(sa.insert(_decisions).values(row))
            return int(made.inserted_primary_key[0])

    def decisions(self) -> pd.DataFrame:
        """Return every decision, oldest first."""
        return self._read(sa.select(_decisions).order_by(_decisions.c.decision_id))

    def record_alarms(self, alarms: Sequence[Mapping[str, Any]]) -> int:
        """Write alarms, once per name, origin and subject; return how many were new.

        Keys: name, severity ("page" or "ticket"), subject, origin, evidence (plain values), and
        optionally runbook and made_at (now).
        """
        return self._insert(_alarms, [_complete(_alarms, alarm) for alarm in alarms])

    def alarms(self) -> pd.DataFrame:
        """Return every alarm, oldest origin first."""
        at = _alarms.c
        return self._read(sa.select(_alarms).order_by(at.origin, at.name, at.subject))

    def _insert(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> int:
        if not rows:
            return 0
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        with self._transaction() as connection:
            statement = dialect.insert(table).on_conflict_do_nothing()
            return int(connection.execute(statement, rows).rowcount)

    def _read(self, wanted: sa.Select[Any]) -> pd.DataFrame:
        with self._transaction() as connection:
            rows = connection.execute(wanted).all()
        values = zip(*rows, strict=True) if rows else [()] * len(wanted.selected_columns)
        return pd.DataFrame(
            {
                column.name: pd.Series(list(part), dtype=_dtype(column.type))
                for column, part in zip(wanted.selected_columns, values, strict=True)
            }
        )

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            if not self._ready:
                _prepare(self._engine)
                self._ready = True
            with self._engine.begin() as connection:
                yield connection
        except (sa.exc.ProgrammingError, sa.exc.IntegrityError, sa.exc.DataError):
            raise  # our mistake, not the database's
        except (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError) as error:
            why = " ".join(str(getattr(error, "orig", error)).split())
            raise StoreUnavailableError(
                f"the ledger {_name(self._engine.url)} does not answer: {why}"
            ) from error


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
        if backend in {"postgres", "postgresql"} and "+" not in parsed.drivername:
            parsed, backend = parsed.set(drivername="postgresql+psycopg"), "postgresql"
        patience = {"sqlite": "timeout", "postgresql": "connect_timeout"}[backend]
        engine = sa.create_engine(
            parsed,
            connect_args={patience: PATIENCE_SECONDS},
            hide_parameters=True,  # what was sold is nobody's business in a traceback
            json_serializer=_json,
            pool_pre_ping=True,
        )
    except (sa.exc.ArgumentError, KeyError):
        raise ConfigError(
            "stores.ledger_url must be sqlite:///path or postgresql://user:password@host/database"
        ) from None
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is missing; install salescast[postgres]") from error
    if backend == "sqlite":
        sa.event.listen(engine, "connect", _use_wal)
    return engine


def _use_wal(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")  # readers do not wait for a writer


def _prepare(engine: sa.Engine) -> None:
    """Make what is missing; raise ConfigError for a ledger of another version."""
    if engine.dialect.name == "sqlite" and engine.url.database:
        Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # its IF NOT EXISTS fails when two do it at once
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATION_LOCK)))
        for table in _metadata.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                connection.execute(CreateIndex(index, if_not_exists=True))
        found = connection.execute(sa.select(sa.func.max(_versions.c.version))).scalar()
        if found is None:
            dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
            first = dialect.insert(_versions).values(version=SCHEMA_VERSION)
            connection.execute(first.on_conflict_do_nothing())
    if found not in {None, SCHEMA_VERSION}:
        raise ConfigError(
            f"the ledger {_name(engine.url)} has schema version {found}, this program writes "
            f"{SCHEMA_VERSION}; use the program that made it or another stores.ledger_url"
        )


def _name(url: sa.URL) -> str:
    where = f"{url.host}:{url.port or 5432}/" if url.host else ""
    return f"{url.get_backend_name()} {where}{url.database or ''}"


def _rows(table: sa.Table, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the frame as rows of plain Python values for the table."""
    missing = [column.name for column in table.c if column.name not in frame]
    if missing:
        raise DataQualityError(f"ledger, {table.name}: column {', '.join(missing)} is missing")
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


def _refuse(frame: pd.DataFrame, bad: pd.DataFrame, wanted: str) -> None:
    """Raise DataQualityError naming the first bad number."""
    if bad.to_numpy().any():
        row, column = np.argwhere(bad.to_numpy())[0]
        name, at = bad.columns[column], frame.iloc[row]
        raise DataQualityError(
            f"{at['store_id']} × {at['item_id']}, {at['date']:%Y-%m-%d}: {name} is {at[name]}, "
            f"not {wanted}; nothing was written to the ledger"
        )


def _complete(table: sa.Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with every column: what is not given is empty, `made_at` is now."""
    row = {
        column.name: values.get(column.name)
        for column in table.c
        if column.autoincrement is not True
    }
    return row


def _between(
    wanted: sa.Select[Any], date: sa.ColumnElement[Any], since: Any, until: Any
) -> sa.Select[Any]:
    if since is not None:
        wanted = wanted.where(date >= _moment(since))
    if until is not None:
        wanted = wanted.where(date <= _moment(until))
    return wanted


def _moment(value: Any) -> datetime:
    moment: datetime = pd.Timestamp(value).to_pydatetime()
    return moment
