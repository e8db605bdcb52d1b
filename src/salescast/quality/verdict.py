"""What was checked, what failed and what happens to the rows."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

Severity = Literal["reject", "quarantine", "warn"]
Status = Literal["accepted", "accepted_with_warnings", "rows_quarantined", "rejected"]


@dataclass(frozen=True)
class Check:
    """One expectation and its result. `evidence` names column, rows, expected range and fix."""

    name: str
    table: str
    severity: Severity
    passed: bool
    bad_rows: int
    evidence: str


@dataclass(frozen=True)
class Verdict:
    """The result of all checks. Quarantined rows carry a column `reason`.

    `documents` is the Great Expectations context that Data Docs are written from, where kept.
    """

    checks: tuple[Check, ...]
    rows_checked: int
    accepted: dict[str, pd.DataFrame]
    quarantined: dict[str, pd.DataFrame]
    until: pd.Timestamp
    documents: Any = field(default=None, repr=False, compare=False)

    @property
    def failed(self) -> tuple[Check, ...]:
        """Return the checks that did not pass, the most severe first."""
        order = ("reject", "quarantine", "warn")
        return tuple(
            sorted((c for c in self.checks if not c.passed), key=lambda c: order.index(c.severity))
        )

    @property
    def status(self) -> Status:
        """Return what becomes of the rows."""
        severities = {check.severity for check in self.failed}
        if "reject" in severities:
            return "rejected"
        if "quarantine" in severities:
            return "rows_quarantined"
        return "accepted_with_warnings" if severities else "accepted"

    def as_dict(self) -> dict[str, Any]:
        """Return a summary for JSON: the status, the counts and every failed check."""
        names = ("name", "table", "severity", "bad_rows", "evidence")
        return {
            "status": self.status,
            "rows_checked": self.rows_checked,
            "checks": len(self.checks),
            "failed": [{name: getattr(check, name) for name in names} for check in self.failed],
            "failed_by_severity": dict(Counter(check.severity for check in self.failed)),
            "quarantined": {table: len(rows) for table, rows in self.quarantined.items()},
        }


def write_quarantine(verdict: Verdict, folder: Path) -> list[Path]:
    """Write the quarantined rows with their reasons, one CSV a table, and return the paths.

    The name says table and moment; a file appears whole or not at all. Writing again is harmless.
    """
    paths = []
    for table, rows in verdict.quarantined.items():
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{table}-{verdict.until:%Y-%m-%dT%H%M}.csv"
        partial = path.with_suffix(".partial")
        rows.to_csv(partial, index=False)
        partial.replace(path)
        paths.append(path)
    return paths
