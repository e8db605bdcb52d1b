"""Forecasts, outcomes, decisions and alarms in one database: the only user of SQL.

Nothing is ever changed or deleted: a forecast is written once, a corrected outcome is a new row
with a later `recorded_at`. Writing the same row again does nothing, so every call may be repeated
after a crash. Days and moments are naive UTC.
"""

from salescast.ledger.forecast_records import ForecastRecords
from salescast.ledger.journal import Journal
from salescast.ledger.order_decisions import OrderDecisions
from salescast.ledger.outcome_records import OutcomeRecords


class Ledger(ForecastRecords, OutcomeRecords, OrderDecisions, Journal):
    """The ledger behind a SQLAlchemy URL; see `Database`."""
