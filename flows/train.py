"""Weekly, or when monitoring asks: learn, examine, register, judge."""

from datetime import date

from flows.engine import Run
from salescast.settings import Settings
from salescast.stages import REPRODUCIBLE, Result

BELIEF = 3.0  # levels may have moved so much farther than usual: 3 did best, 1 and 10 hardly worse


def train(run: Run) -> Result:
    """Return the gate's decision on a model trained on the stored data."""
    for name in REPRODUCIBLE:
        run(name)
    run("register")
    return run("gate")


def adapted(settings: Settings, since: date, today: date) -> Settings:
    """Return the settings to learn with that customers behave otherwise `since` a day.

    Levels are learned from the days since, and believed to have moved. The examination has a
    cutoff on each of these days that has its horizon behind it: whoever is examined on the years
    before is praised for what no longer holds.
    """
    days = max((today - since).days, 7)
    cutoffs = min(max(days - settings.forecast.horizon + 1, 1), settings.backtest.cutoffs)
    model = settings.model.model_copy(
        update={"recent_days": float(days), "drift": BELIEF * settings.model.drift}
    )
    backtest = settings.backtest.model_copy(
        update={"cutoffs": cutoffs, "every_days": 1, "refit_every": 3}
    )
    return settings.model_copy(update={"model": model, "backtest": backtest})
