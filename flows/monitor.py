"""Daily: score forecasts, look for drift, raise alarms, and judge a version on trial."""

from flows.engine import Run
from salescast.stages import Result


def monitor(run: Run) -> Result:
    """Score what was served and look at the inputs."""
    return run("monitor") | {"trial": run("canary")}
