"""Everything once: from a delivery to a served forecast, a fortnight of truth, and a report."""

from collections.abc import Callable, Mapping
from datetime import date

from flows.deploy import deploy
from flows.engine import Run
from flows.forecast import forecast
from flows.ingest import ingest
from flows.monitor import monitor
from flows.train import train
from salescast.stages import Result


def lifecycle(run: Run, start: date, end: date) -> Result:
    """Learn and deploy as of `start`; let the days up to `end` come true; score, forecast, answer.

    Raises GateRefused where the gate said no: the champion, if there is one, stays.
    """
    ingest(run, start)
    train(run)
    deploy(run)
    ingest(run, end)
    monitor(run)
    forecast(run)
    return run("answer")


FLOWS: Mapping[str, Callable[..., Result]] = {
    flow.__name__: flow for flow in (deploy, forecast, ingest, lifecycle, monitor, train)
}
"""Every flow by name, for the command line."""
