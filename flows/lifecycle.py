"""Everything once: from a delivery to a served forecast, a fortnight of outcomes, and a report."""

from datetime import date

from flows.deploy import deploy
from flows.engine import Run
from flows.forecast import forecast
from flows.ingest import ingest
from flows.monitor import monitor
from flows.train import train
from salescast.stages import Result


def lifecycle(run: Run, start: date, end: date) -> Result:
    """Train and deploy as of `start`; ingest the days up to `end`; score, forecast, answer.

    Raises GateRefused where the gate refused: the champion, if there is one, stays.
    """
    ingest(run, start)
    train(run)
    deploy(run)
    ingest(run, end)
    monitor(run)
    forecast(run)
    return run("answer")
