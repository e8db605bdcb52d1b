"""What was checked, what failed and what happens to the rows."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from salescast.data.files import replace
from salescast.quality.suites import SEVERITIES, Severity

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
    """The result of all checks. Quarantined rows carry a column `reason`."""

    checks: tuple[Check, ...]
    rows_checked: int
    accepted: dict[str, pd.DataFrame]
    quarantined: dict[str, pd.DataFrame]
    until: pd.Timestamp

    @property
    def failed(self) -> tuple[Check, ...]:
        """Return the checks that did not pass, the most severe first."""
        failed = (check for check in self.checks if not check.passed)
        return tuple(sorted(failed, key=lambda check: SEVERITIES.index(check.severity)))

    @property
    def status(self) -> Status:
        """Return what becomes of the rows."""
        severities = {check.severity for check in self.failed}
        if "critical" in severities:
            return "rejected"
        if "warning" in severities:
            return "rows_quarantined"
        return "accepted_with_warnings" if severities else "accepted"

    def reasons(self, severity: Severity | None = None) -> str:
        """Return the evidence of the failed checks, or of those of one severity, in a sentence."""
        shown = (c for c in self.failed if severity in (None, c.severity))
        return "; ".join(f"{c.table}: {c.name}: {c.evidence}" for c in shown)

    def as_dict(self) -> dict[str, Any]:
        """Return a summary for JSON: the status, the counts and every failed check."""
        names = ("name", "table", "severity", "bad_rows", "evidence")
        last_day = self.until - pd.Timedelta(microseconds=1)
        return {
            "until": f"{last_day:%Y-%m-%d}",
            "status": self.status,
            "rows_checked": self.rows_checked,
            "checks": len(self.checks),
            "failed": [{name: getattr(check, name) for name in names} for check in self.failed],
            "failed_by_severity": dict(Counter(check.severity for check in self.failed)),
            "quarantined": {table: len(rows) for table, rows in self.quarantined.items()},
        }


def write_quarantine(verdict: Verdict, folder: Path) -> list[Path]:
    """Write the quarantined rows with their reasons, one CSV a table, and return the paths.

    The name says table and moment. What another delivery of that moment left there stays.
    """
    paths = []
    for table, rows in verdict.quarantined.items():
        path = folder / f"{table}-{verdict.until:%Y-%m-%dT%H%M}.csv"
        kept = pd.read_csv(path, dtype="str") if path.exists() else pd.DataFrame()
        text = pd.read_csv(StringIO(rows.to_csv(index=False)), dtype="str")
        whole = pd.concat([kept, text]).drop_duplicates()
        paths.append(replace(path, partial(whole.to_csv, index=False)))
    return paths
