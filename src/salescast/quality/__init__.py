"""Data quality: every delivery and everything stored is judged by named expectations.

The only user of Great Expectations, which is imported when something is judged, not before.
"""

from salescast.quality.checkpoint import (
    Judge,
    check_delivery,
    check_stored,
    judge_plainly,
    write_data_docs,
)
from salescast.quality.rules import RULES, Rule
from salescast.quality.suites import judge
from salescast.quality.verdict import Check, Severity, Verdict, write_quarantine

__all__ = [
    "RULES",
    "Check",
    "Judge",
    "Rule",
    "Severity",
    "Verdict",
    "check_delivery",
    "check_stored",
    "judge",
    "judge_plainly",
    "write_data_docs",
    "write_quarantine",
]
