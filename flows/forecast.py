"""Daily: forecast every series with the champion, into the ledger."""

from flows.engine import Run
from salescast.stages import Result


def forecast(run: Run) -> Result:
    """Forecast from the last day known."""
    return run("forecast")
