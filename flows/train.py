"""Weekly, or when monitoring asks for it: train, backtest, register and judge a challenger."""

from flows.engine import Run
from salescast.stages import REPRODUCIBLE, Result


def train(run: Run) -> Result:
    """Return the gate's decision on a model trained on the stored data."""
    for name in REPRODUCIBLE:
        run(name)
    run("register")
    return run("gate")
