"""Daily: forecast every series with the champion and propose orders, into the ledger."""

from flows.engine import Run
from salescast.stages import Result


def forecast(run: Run) -> Result:
    """Forecast from the last day known, and decide what to order."""
    made, orders = run("forecast"), run("order")
    return {**made, "orders": orders, "summary": f"{made['summary']}\n{orders['summary']}"}
