"""SQL: forecasts, orders, outcomes, decisions and alarms."""

from salescast.ledger.ledger import Ledger

__all__ = ["Ledger"]
