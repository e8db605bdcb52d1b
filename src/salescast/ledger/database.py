"""The database of the ledger: SQLite by default, PostgreSQL by URL."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import pandas as pd
import sqlalchemy as sa
from pydantic_core import from_json
from sqlalchemy.dialects import postgresql, sqlite

from salescast.errors import ConfigError, StoreUnavailableError
from salescast.ledger.ledger_rows import as_frame, as_json
from salescast.ledger.ledger_schema import METADATA, SCHEMA_VERSION, VERSIONS

PATIENCE_SECONDS = 10  # for another writer's lock or a connection
_LOCK = 7_025_001  # any number no one else locks in this database


class Database:
    """A database behind a SQLAlchemy URL; the ledger's tables are made on first use.

    Every method raises StoreUnavailableError when the database does not answer.
    """

    def __init__(self, url: str) -> None:
        """Prepare to connect; raise ConfigError for a URL that is neither SQLite nor PostgreSQL."""
        self._engine = open_engine(url)
        self._dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        self._ready = False

    @property
    def name(self) -> str:
        """The database's name for messages, without user, password and options."""
        return name_of(self._engine.url)

    def __enter__(self) -> Self:
        """Return the ledger, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        self._engine.dispose()

    def _insert(self, table: sa.Table, batches: Iterable[Sequence[Mapping[str, Any]]]) -> int:
        """Write all batches or none; return how many rows were new."""
        statement = self._dialect.insert(table).on_conflict_do_nothing()
        counted = statement.execution_options(preserve_rowcount=True)
        with self._transaction() as connection:
            return sum(connection.execute(counted, rows).rowcount for rows in batches if rows)

    def _read(self, query: sa.Select[Any]) -> pd.DataFrame:
        with self._transaction() as connection:
            return read(connection, query)

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """Yield a transaction with an exclusive right to write."""
        with self._transaction() as connection:
            _lock(connection)
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            if not self._ready:
                self._prepare()
                self._ready = True
            with self._engine.begin() as connection:
                yield connection
        except (sa.exc.ProgrammingError, sa.exc.IntegrityError, sa.exc.DataError):
            raise  # our mistake, not the database's
        except (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError) as error:
            why = " ".join(str(getattr(error, "orig", error)).split())
            raise StoreUnavailableError(
                f"the ledger {name_of(self._engine.url)} does not answer: {why}"
            ) from error

    def _prepare(self) -> None:
        """Make the tables that are missing; raise ConfigError for a ledger of another version."""
        url = self._engine.url
        if self._dialect is sqlite and url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        with self._engine.begin() as connection:
            if METADATA.tables.keys() - sa.inspect(connection).get_table_names():
                _lock(connection)
                METADATA.create_all(connection)
                row = self._dialect.insert(VERSIONS).values(version=SCHEMA_VERSION)
                connection.execute(row.on_conflict_do_nothing())
            version = connection.execute(sa.select(sa.func.max(VERSIONS.c.version))).scalar()
        if version != SCHEMA_VERSION:
            raise ConfigError(
                f"the ledger {name_of(url)} has schema version {version}, this program writes "
                f"{SCHEMA_VERSION}; use the program that made it or another stores.ledger_url"
            )


def read(connection: sa.Connection, query: sa.Select[Any]) -> pd.DataFrame:
    """Return the rows of a query in the dtypes of its columns."""
    return as_frame(query.selected_columns, connection.execute(query).all())


def between(
    query: sa.Select[Any], date: sa.ColumnElement[Any], since: Any, until: Any
) -> sa.Select[Any]:
    """Return the query for dates from `since` to `until`, both included; None is no bound."""
    if since is not None:
        query = query.where(date >= moment(since))
    if until is not None:
        query = query.where(date <= moment(until))
    return query


def moment(value: Any) -> datetime:
    """Return a day or moment as the drivers take it."""
    plain: datetime = pd.Timestamp(value).to_pydatetime()
    return plain


def _lock(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def open_engine(url: str) -> sa.Engine:
    """Return an engine; raise ConfigError for a URL that is neither SQLite nor PostgreSQL."""
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
        if backend in {"postgres", "postgresql"} and "+" not in parsed.drivername:
            parsed, backend = parsed.set(drivername="postgresql+psycopg"), "postgresql"
        patience = {"sqlite": "timeout", "postgresql": "connect_timeout"}[backend]
        engine = sa.create_engine(
            parsed,
            connect_args={patience: PATIENCE_SECONDS},
            hide_parameters=True,  # a traceback must not show sales
            json_serializer=as_json,
            json_deserializer=from_json,  # four times as fast as the standard library's
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


def name_of(url: sa.URL) -> str:
    """Return the database's name for messages, without user, password and options."""
    where = f"{url.host}:{url.port or 5432}/" if url.host else ""
    return f"{url.get_backend_name()} {where}{url.database or ''}"
