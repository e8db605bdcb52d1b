"""Tables or queries of any database SQLAlchemy reads, in the contract's columns."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import sqlalchemy as sa
from sqlalchemy import exc

from salescast.contract.schema import TABLES, empty
from salescast.data.delivery import Feed, fill_known, known_between
from salescast.errors import ConfigError, DataQualityError, FeedUnavailableError

CHUNK_ROWS = 50_000
_SLACK = pd.Timedelta(days=1)


def feed(url: str, queries: Mapping[str, str], tables: Sequence[str] = tuple(TABLES)) -> Feed:
    """Return a feed that asks the database on every call.

    `queries` maps a contract table to a table name or a SELECT; without an entry the table of the
    same name is read, if there is one. Raises ConfigError for a malformed URL or an unknown key.
    The feed raises ConfigError for a query the database refuses, DataQualityError for a missing
    table and for rows that break the contract, FeedUnavailableError where nobody answers.
    """
    unknown = sorted(set(queries) - set(TABLES))
    if unknown:
        raise ConfigError(
            f"feed.sql.queries.{unknown[0]}: no such contract table; use {', '.join(TABLES)}"
        )
    address = _parse(url)

    def deliver(since: pd.Timestamp | None, until: pd.Timestamp) -> dict[str, pd.DataFrame]:
        delivery = {}
        with _connected(address) as connection:
            for table in tables:
                source = _source(connection, table, queries.get(table))
                if source is not None:
                    rows = _fetch(connection, table, source, (since, until))
                    delivery[table] = known_between(table, rows, since, until)
        return delivery

    return deliver


def _parse(url: str) -> sa.URL:
    try:
        address = sa.make_url(url)
    except exc.ArgumentError:  # its message may hold the password
        raise ConfigError(
            "feed.sql.url is not a SQLAlchemy URL like postgresql+psycopg://user@host/name; "
            "set SALESCAST_FEED__SQL__URL"
        ) from None
    if "@" in (address.host or ""):
        raise ConfigError("feed.sql.url: write an @ in the password as %40")
    return address


def _name(address: sa.URL) -> str:
    return f"{address.drivername}://{address.host or ''}/{address.database or ''}"


@contextmanager
def _connected(address: sa.URL) -> Iterator[sa.Connection]:
    path = Path(address.database or "")
    if address.get_backend_name() == "sqlite" and not path.is_file():
        # SQLite itself would create an empty database.
        raise FeedUnavailableError(f"{_name(address)}: no such file; see feed.sql.url")
    try:
        engine = sa.create_engine(address, poolclass=sa.NullPool)
    except (exc.ArgumentError, ImportError) as error:
        raise ConfigError(f"feed.sql.url: {_name(address)}: {error}; install its driver") from error
    try:
        with engine.connect() as connection:
            yield connection.execution_options(stream_results=True)
    except exc.SQLAlchemyError as error:
        reason = _scrubbed(error, address)
        raise FeedUnavailableError(f"{_name(address)} does not answer: {reason}") from None


def _scrubbed(error: exc.SQLAlchemyError, address: sa.URL) -> str:
    reason = " ".join(str(getattr(error, "orig", None) or error).split())
    return reason.replace(str(address.password), "***") if address.password else reason


def _source(connection: sa.Connection, table: str, query: str | None) -> sa.FromClause | None:
    if query and len(query.split()) > 1:
        return sa.text(query.rstrip("; \n")).columns().subquery("delivered")
    schema, _, name = (query or table).rpartition(".")
    if sa.inspect(connection).has_table(name, schema=schema or None):
        return sa.table(name, schema=schema or None)
    if query or not TABLES[table].optional:
        raise DataQualityError(
            f"{_name(connection.engine.url)}: no table {query or table}; create it or name "
            f"another one, or a query, in feed.sql.queries.{table}"
        )
    return None


def _fetch(
    connection: sa.Connection,
    table: str,
    source: sa.FromClause,
    window: tuple[pd.Timestamp | None, pd.Timestamp],
) -> pd.DataFrame:
    where = f"feed.sql.queries.{table} of {_name(connection.engine.url)}"
    try:
        select = _select(connection, TABLES[table].known_at, source, window)
        chunks = pd.read_sql(select, connection, chunksize=CHUNK_ROWS)
        parts = [
            fill_known(table, chunk, f"{where}, rows after {number * CHUNK_ROWS:,}")
            for number, chunk in enumerate(chunks)
        ]
    except exc.DBAPIError as error:
        if not _is_refusal(error):
            raise
        reason = _scrubbed(error, connection.engine.url)
        raise ConfigError(f"{where}: the database refuses the query: {reason}") from None
    return pd.concat(parts, ignore_index=True) if parts else empty(table)


def _is_refusal(error: exc.DBAPIError) -> bool:
    # SQLite calls a wrong query an operational error, as it does a locked database.
    sqlite = str(error.orig).startswith(("no such", "near ", "unrecognized token"))
    return isinstance(error, exc.ProgrammingError) or sqlite


def _select(
    connection: sa.Connection,
    known: str,
    source: sa.FromClause,
    window: tuple[pd.Timestamp | None, pd.Timestamp],
) -> sa.Select[tuple[object]]:
    everything = sa.select(sa.text("*")).select_from(source)
    if known not in connection.execute(everything.where(sa.false())).keys():  # noqa: SIM118
        return everything
    # A day of slack on both sides: the server may keep local time or, as SQLite does, text;
    # the exact moments are compared once they are ours.
    since, until = window
    column: sa.ColumnElement[object] = sa.column(known)
    recent = everything.where(column < _bound(connection, until.ceil("D") + _SLACK))
    if since is None:
        return recent
    always = column == _bound(connection, pd.Timestamp("1970-01-01"))
    return recent.where(sa.or_(column >= _bound(connection, since.floor("D") - _SLACK), always))


def _bound(connection: sa.Connection, moment: pd.Timestamp) -> object:
    return f"{moment:%Y-%m-%d}" if connection.dialect.name == "sqlite" else moment.to_pydatetime()
