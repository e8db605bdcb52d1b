"""The ledger's tables."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

SCHEMA_VERSION = 1

METADATA = sa.MetaData()


class Exact(sa.Double[float]):
    """A float that reads back bit for bit."""


@compiles(Exact, "sqlite")
def _as_blob(*_: Any, **__: Any) -> str:
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
ORDER_DECISIONS = sa.Table(  # of two planners at once, one gets the revision
    "order_decisions",
    METADATA,
    sa.Column("receipt_id", sa.String, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("origin", sa.DateTime, nullable=False, index=True),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.String),
    sa.Column("note", sa.String),
    sa.Column("planner", sa.String, nullable=False),
    sa.Column("release_id", sa.String, index=True),
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
ALARM_EVENTS = sa.Table(  # what happened to an alarm since it was opened
    "alarm_events",
    METADATA,
    sa.Column("event_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("origin", sa.DateTime, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("kind", sa.Enum("acknowledge", "resolve", native_enum=False), nullable=False),
    sa.Column("day", sa.DateTime, nullable=False),
    sa.Column("person", sa.String),
    sa.Column("reason", sa.String, nullable=False),
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
