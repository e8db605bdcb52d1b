"""Daily: forecast every series with the champion and propose orders, into the ledger."""

from flows.engine import Run
from salescast.stages import Result


def forecast(run: Run) -> Result:
    """Forecast from the last day stored, and propose what to order."""
    forecasts, orders = run("forecast"), run("order")
    summary = f"{forecasts['summary']}\n{orders['summary']}"
    return {**forecasts, "orders": orders, "summary": summary}
