"""Weekly, after the gate: make the challenger the champion and forecast with it."""

from flows.engine import Run
from salescast.stages import Result


def deploy(run: Run) -> Result:
    """Promote the judged challenger and forecast every series with it, into the ledger.

    Raises GateRefused, with the reasons, where the gate refused it.
    """
    run("promote")
    return run("forecast")
