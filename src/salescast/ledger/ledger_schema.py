"""The ledger's tables, and the database they lie in."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic_core import from_json
from sqlalchemy.dialects import postgresql, registry, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex, CreateTable

from salescast.errors import ConfigError
from salescast.ledger.ledger_rows import as_json

SCHEMA_VERSION = 1
PATIENCE_SECONDS = 10  # for another writer's lock or a connection
_CREATION_LOCK = 7_025_001  # any number no one else locks in this database

METADATA = sa.MetaData()


class Exact(sa.Double[float]):
    """A float that reads back bit for bit."""


@compiles(Exact, "sqlite")
def _untouched(*_: Any, **__: Any) -> str:
    return "BLOB"  # SQLite keeps a whole REAL as an integer there, and −0.0 becomes 0.0


VERSIONS = sa.Table("schema_version", METADATA, sa.Column("version", sa.Integer, primary_key=True))
FORECASTS = sa.Table(
    "forecasts",
    METADATA,
    sa.Column("receipt_id", sa.String, primary_key=True),
    sa.Column("store_id", sa.String, nullable=False),
    sa.Column("item_id", sa.String, nullable=False),
    sa.Column("origin", sa.DateTime, nullable=False, index=True),
    sa.Column("date", sa.DateTime, primary_key=True, index=True),
    sa.Column("lead_time", sa.Integer, nullable=False),
    sa.Column("issued_at", sa.DateTime),
    sa.Column("mean", Exact, nullable=False),
    sa.Column("quantiles", sa.JSON, nullable=False),
    sa.Column("stock_target", Exact, nullable=False),
    sa.Column("model_version", sa.String, nullable=False),
    sa.Column("data_version", sa.String, nullable=False),
    sa.Column("degraded", sa.JSON, nullable=False),
    sa.Column("made_at", sa.DateTime, nullable=False),
)
SHADOWS = FORECASTS.to_metadata(METADATA, name="shadow_forecasts")  # recorded, never answered
sa.Index("ix_forecasts_lead_time_date", FORECASTS.c.lead_time, FORECASTS.c.date)  # for monitor
ORDERS = sa.Table(
    "orders",
    METADATA,
    sa.Column("receipt_id", sa.String, primary_key=True),
    sa.Column("store_id", sa.String, nullable=False),
    sa.Column("item_id", sa.String, nullable=False),
    sa.Column("origin", sa.DateTime, nullable=False, index=True),
    sa.Column("due", sa.Boolean, nullable=False),
    sa.Column("counted", sa.DateTime),
    sa.Column("on_hand", sa.BigInteger, nullable=False),
    sa.Column("on_order", sa.BigInteger, nullable=False),
    sa.Column("order", sa.BigInteger, nullable=False),
    sa.Column("planner_order", sa.BigInteger, nullable=False),
    sa.Column("unit_cost", Exact, nullable=False),
    sa.Column("spend", Exact, nullable=False),
    sa.Column("expected_demand", Exact, nullable=False),
    sa.Column("expected_lost", Exact, nullable=False),
    sa.Column("expected_cost", Exact, nullable=False),
    sa.Column("planner_cost", Exact, nullable=False),
    sa.Column("fill_rate", Exact, nullable=False),
    sa.Column("model_version", sa.String, nullable=False),
    sa.Column("data_version", sa.String, nullable=False),
    sa.Column("made_at", sa.DateTime, nullable=False),
)
OUTCOMES = sa.Table(
    "outcomes",
    METADATA,
    sa.Column("store_id", sa.String, primary_key=True),
    sa.Column("item_id", sa.String, primary_key=True),
    sa.Column("date", sa.DateTime, primary_key=True, index=True),
    sa.Column("recorded_at", sa.DateTime, primary_key=True),
    sa.Column("units", sa.BigInteger, nullable=False),
    sa.Column("sold_out", sa.Boolean),
)
DECISIONS = sa.Table(
    "decisions",
    METADATA,
    sa.Column("decision_id", sa.Integer, primary_key=True, autoincrement=True),
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
ALARMS = sa.Table(
    "alarms",
    METADATA,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("origin", sa.DateTime, primary_key=True),
    sa.Column("subject", sa.String, primary_key=True),
    sa.Column("severity", sa.Enum("page", "ticket", native_enum=False), nullable=False),
    sa.Column("evidence", sa.JSON, nullable=False),
    sa.Column("runbook", sa.String),
    sa.Column("made_at", sa.DateTime, nullable=False),
)


PROMOTIONS = sa.Table(
    "promotions",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Enum("promote", "rollback", native_enum=False), nullable=False),
    sa.Column("model_version", sa.String, nullable=False),
    sa.Column("replaced_version", sa.String),
    sa.Column("digest", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("approver", sa.String),
    sa.Column("made_at", sa.DateTime, nullable=False),
)


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
            hide_parameters=True,  # what was sold is nobody's business in a traceback
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


def prepare(engine: sa.Engine) -> None:
    """Make what is missing; raise ConfigError for a ledger of another version."""
    if engine.dialect.name == "sqlite" and engine.url.database:
        Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # its IF NOT EXISTS fails when two do it at once
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATION_LOCK)))
        for statement in _creation(engine.dialect.name):
            connection.exec_driver_sql(statement)
        found = connection.execute(sa.select(sa.func.max(VERSIONS.c.version))).scalar()
        if found is None:
            dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
            first = dialect.insert(VERSIONS).values(version=SCHEMA_VERSION)
            connection.execute(first.on_conflict_do_nothing())
    if found not in {None, SCHEMA_VERSION}:
        raise ConfigError(
            f"the ledger {name_of(engine.url)} has schema version {found}, this program writes "
            f"{SCHEMA_VERSION}; use the program that made it or another stores.ledger_url"
        )


@lru_cache
def _creation(backend: str) -> tuple[str, ...]:
    """Return what makes every table and index that is missing."""
    dialect = registry.load(backend)()
    made: list[CreateTable | CreateIndex] = []
    for table in METADATA.sorted_tables:
        made.append(CreateTable(table, if_not_exists=True))
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        made += [CreateIndex(index, if_not_exists=True) for index in indexes]
    return tuple(str(each.compile(dialect=dialect)) for each in made)


def name_of(url: sa.URL) -> str:
    """Return what an error may say about a database: never user, password or options."""
    where = f"{url.host}:{url.port or 5432}/" if url.host else ""
    return f"{url.get_backend_name()} {where}{url.database or ''}"
