"""What is wrong with this machine or workspace, and how to fix it.

Each check looks for one known problem (docs/how-to/doctor.md has the list) and changes nothing.
Only `salescast doctor --reap` writes: it ends the runs that a killed process left open.
"""

from collections.abc import Callable, Mapping
from typing import Any

from salescast.doctor import deep, machine, stores
from salescast.doctor.machine import Finding
from salescast.doctor.stores import reap
from salescast.settings import Settings

__all__ = ["CHECKS", "describe", "diagnose", "reap"]

CHECKS: Mapping[str, Callable[[Settings], Finding]] = {
    "python": machine.python,
    "versions": machine.versions,
    "lock": machine.lock,
    "conflicts": machine.conflicts,
    "space": machine.space,
    "port": machine.port,
    "data": stores.data,
    "lock of DVC": stores.dvc_lock,
    "remote": stores.remote,
    "registry": stores.registry,
    "ledger": stores.ledger,
    "prefect": stores.prefect,
    "training runs": stores.mlflow_runs,
    "flow runs": stores.prefect_runs,
}
"""Every check, in the order in which a person would look."""

DEEP_CHECKS: Mapping[str, Callable[[Settings], Finding]] = {
    "receipts": deep.receipts,
    "orders": deep.orders,
    "releases": deep.releases,
    "champion": deep.champion,
    "model": deep.model,
    "files": deep.files,
}
"""Those that compare the stores with each other; they read everything."""


def diagnose(settings: Settings, *, deep: bool = False) -> dict[str, Any]:
    """Return every finding, the names of the bad ones, and a text for people."""
    checks = {**CHECKS, **(DEEP_CHECKS if deep else {})}
    findings = {name: check(settings) for name, check in checks.items()}
    return {
        "findings": [{"name": name, **found._asdict()} for name, found in findings.items()],
        "bad": [name for name, found in findings.items() if found.fix],
        "summary": describe(findings),
    }


def describe(findings: Mapping[str, Finding]) -> str:
    """Return a line per finding, and below a bad one how to fix it."""
    lines = []
    for name, found in findings.items():
        lines.append(f"{'BAD' if found.fix else 'ok':4}{name:14}{found.summary}")
        if found.fix:
            lines.append(f"{'':18}→ {found.fix}")
    return "\n".join(lines)
