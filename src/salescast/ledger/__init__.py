"""SQL: forecasts, orders, outcomes, decisions and alarms."""

from salescast.ledger.ledger import Ledger
from salescast.ledger.spool import Spool

__all__ = ["Ledger", "Spool"]
