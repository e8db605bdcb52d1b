"""Daily: fetch, check, append, version."""

from datetime import date

from flows.engine import Run
from salescast.stages import Result


def ingest(run: Run, until: date | None = None) -> Result:
    """Store what became known up to `until` (default: today) as a new data version."""
    delivered = run("ingest", until=until)
    return delivered | run("version")
