"""Tables or queries of any database SQLAlchemy reads, in the contract's columns."""

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import sqlalchemy as sa
from sqlalchemy import exc

from salescast.contract.schema import TABLES, empty
from salescast.data.delivery import Delivery, Feed
from salescast.data.preparation import Source, Zones, prepare
from salescast.errors import ConfigError, DataQualityError, FeedUnavailableError

CHUNK_ROWS = 50_000
LOOKBACK = pd.Timedelta(days=35)
"""Rows that say when they became known are asked for again this long: some are entered late."""
_SLACK = pd.Timedelta(days=1)
_END = re.compile(r"(?:\s|;|--[^\n]*|/\*.*?\*/)+\Z", re.DOTALL)


def feed(
    url: str,
    queries: Mapping[str, str],
    tables: Sequence[str] = tuple(TABLES),
    columns: Mapping[str, Mapping[str, Source]] | None = None,
) -> Feed:
    """Return a feed that queries the database on every call.

    `queries` maps a contract table to a table name or a SELECT; without an entry the table of the
    same name is read, if there is one. `columns`: where columns come from, by table and column.
    Raises ConfigError for a malformed URL or an unknown key.
    The feed raises ConfigError for a query the database refuses, DataQualityError for a missing
    table and for rows that break the contract, FeedUnavailableError where nobody answers.
    """
    unknown = sorted(set(queries) - set(TABLES))
    if unknown:
        raise ConfigError(
            f"feed.sql.queries.{unknown[0]}: no such contract table; use {', '.join(TABLES)}"
        )
    address = _parse(url)

    def deliver(since: pd.Timestamp | None, until: pd.Timestamp) -> Delivery:
        delivery = Delivery()
        zones: dict[str, str] = {}
        with _connected(address) as connection:
            for table in ("stores", *(name for name in tables if name != "stores")):
                source = _source(connection, table, queries.get(table), needed=table in tables)
                if source is not None:
                    query = _Query(table, source, (columns or {}).get(table, {}), zones)
                    rows = _fetch(connection, query, (since, until))
                    if table == "stores":
                        zones |= dict(zip(rows["location_id"], rows["timezone"], strict=True))
                        zones |= dict(zip(rows["store_id"], rows["timezone"], strict=True))
                    if table in tables:
                        delivery[table] = rows
        return delivery

    return deliver


@dataclass(frozen=True)
class _Query:
    table: str
    source: sa.FromClause
    columns: Mapping[str, Source]
    zones: Zones

    def moment_column(self, names: Sequence[str]) -> str | None:
        """Return which column of the source holds the moment, None where none does."""
        known_at = TABLES[self.table].known_at
        rule = self.columns.get(known_at, known_at)
        name = rule if isinstance(rule, str) else rule.get("column", "")
        return next((n for n in names if n.casefold() == name.casefold()), None)


def _parse(url: str) -> sa.URL:
    plain = re.sub(r"\Apostgres(?:ql)?://", "postgresql+psycopg://", url)
    try:
        address = sa.make_url(plain)
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


def _source(
    connection: sa.Connection, table: str, query: str | None, *, needed: bool
) -> sa.FromClause | None:
    if query and len(query.split()) > 1:
        return sa.text(_END.sub("", query) + "\n").columns().subquery("delivered")
    schema, _, name = (query or table).rpartition(".")
    if sa.inspect(connection).has_table(name, schema=schema or None):
        return sa.table(name, schema=schema or None)
    if needed and (query or not TABLES[table].optional):
        raise DataQualityError(
            f"{_name(connection.engine.url)}: no table {query or table}; create it or name "
            f"another one, or a query, in feed.sql.queries.{table}"
        )
    return None


def _fetch(
    connection: sa.Connection, query: _Query, window: tuple[pd.Timestamp | None, pd.Timestamp]
) -> pd.DataFrame:
    where = f"feed.sql.queries.{query.table} of {_name(connection.engine.url)}"
    try:
        chunks = pd.read_sql(_select(connection, query, window), connection, chunksize=CHUNK_ROWS)
        parts = [
            prepare(
                query.table,
                chunk,
                f"{where}, rows after {number * CHUNK_ROWS:,}",
                query.columns,
                query.zones,
            )
            for number, chunk in enumerate(chunks)
        ]
    except exc.DBAPIError as error:
        if not _is_refusal(error):
            raise
        reason = _scrubbed(error, connection.engine.url)
        raise ConfigError(f"{where}: the database refuses the query: {reason}") from None
    return pd.concat(parts, ignore_index=True) if parts else empty(query.table)


def _is_refusal(error: exc.DBAPIError) -> bool:
    # SQLite calls a wrong query an operational error, as it does a locked database.
    if isinstance(error.orig, sqlite3.OperationalError):
        return not re.search("locked|busy|disk|unable to open", str(error.orig))
    outage = (exc.OperationalError, exc.InterfaceError, exc.InternalError)
    return not isinstance(error, outage) and not error.connection_invalidated


def _select(
    connection: sa.Connection, query: _Query, window: tuple[pd.Timestamp | None, pd.Timestamp]
) -> sa.Select[tuple[object]]:
    everything = sa.select(sa.text("*")).select_from(query.source)
    known = query.moment_column([*connection.execute(everything.where(sa.false())).keys()])
    if known is None:
        return everything
    # A day of slack on both sides: the server may keep local time or, as SQLite does, text;
    # the exact moments are compared once they are ours.
    since, until = window
    column: sa.ColumnElement[object] = sa.column(known)
    before = column < _bound(connection, until.ceil("D") + _SLACK)
    recent = everything.where(sa.or_(before, column.is_(None)))
    if since is None:
        return recent
    after = column >= _bound(connection, since.floor("D") - LOOKBACK)
    return recent.where(sa.or_(after, column.is_(None)))


def _bound(connection: sa.Connection, moment: pd.Timestamp) -> object:
    return f"{moment:%Y-%m-%d}" if connection.dialect.name == "sqlite" else moment.to_pydatetime()
