"""What is wrong with this machine or workspace, and how to mend it.

Each check looks for one trap that has bitten somebody (docs/how-to/doctor.md has the list) and
changes nothing. `salescast doctor --reap` alone writes: it ends what a killed process left open.
"""

from collections.abc import Callable, Iterator, Sequence

from salescast.doctor import machine, stores
from salescast.doctor.finding import Finding
from salescast.settings import Settings

Examination = Callable[[Settings], Finding]

EXAMINATIONS: Sequence[Examination] = (
    machine.python,
    machine.versions,
    machine.lock,
    machine.strangers,
    machine.space,
    machine.port,
    stores.data,
    stores.remote,
    stores.registry,
    stores.ledger,
    stores.prefect,
    stores.mlflow_runs,
    stores.prefect_runs,
)


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield one finding per trap, in the order a person would look."""
    for examination in EXAMINATIONS:
        yield examination(settings)


def describe(findings: Sequence[Finding]) -> str:
    """Return the findings as lines, those that need mending with how."""
    lines = []
    for one in findings:
        lines.append(f"{'ok' if one.well else 'BAD':4}{one.name:14}{one.summary}")
        lines += [] if one.well else [f"{'':18}→ {one.mend}"]
    return "\n".join(lines)
