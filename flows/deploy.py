"""After a gate that said yes: make the challenger the champion and see that it answers."""

from flows.engine import Run
from salescast.stages import Result


def deploy(run: Run) -> Result:
    """Promote the judged challenger, forecast with it and fetch one forecast over HTTP.

    Raises GateRefused, with the reasons, where the gate said no.
    """
    run("promote")
    run("forecast")
    return run("answer")
