"""Daily: what came true, what drifts, what alarms, and whether a version on trial holds."""

from flows.engine import Run
from salescast.stages import Result


def monitor(run: Run) -> Result:
    """Score what was served and look at the inputs."""
    return run("monitor") | {"trial": run("canary")}
