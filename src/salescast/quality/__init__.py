"""Data quality: Great Expectations judges every delivery and everything stored, row by row.

The library takes seconds to import, so it is imported when something is judged, not before.
"""

from salescast.quality.checkpoint import check_delivery, check_stored
from salescast.quality.suites import SUITES, Rule, Severity, adjusted
from salescast.quality.verdict import Check, Verdict, write_quarantine

__all__ = [
    "SUITES",
    "Check",
    "Rule",
    "Severity",
    "Verdict",
    "adjusted",
    "check_delivery",
    "check_stored",
    "write_quarantine",
]
