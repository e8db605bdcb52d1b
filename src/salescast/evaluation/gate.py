"""The gate's decision whether a challenger may serve: every check with value, bound and verdict.

Costs are compared on the same rows; see `inference` for the tests, docs/explanation/gate.md for
what each check is for.
"""

import pandas as pd

from salescast.evaluation import cost_checks, forecast_checks
from salescast.evaluation.decision import Check, Decision, Evidence, Measured, Policy
from salescast.evaluation.model_checks import model_checks
from salescast.models import BASELINES

__all__ = ["Check", "Decision", "Evidence", "Measured", "Policy", "decide"]


def decide(evidence: Evidence, policy: Policy) -> Decision:
    """Return the decision; costs are compared only where the forecasts are comparable."""
    rows = evidence.model("challenger")
    first = [
        forecast_checks.quality(evidence.quality),
        forecast_checks.contract(rows, evidence.model(BASELINES[0])),
        forecast_checks.finite(rows),
        forecast_checks.enough(rows, policy),
    ]
    scores = _scores(evidence, rows, policy) if all(check.passed for check in first) else []
    return Decision((*first, *scores, *model_checks(evidence.measured, policy)))


def _scores(evidence: Evidence, rows: pd.DataFrame, policy: Policy) -> list[Check]:
    return [
        *(cost_checks.beats(rows, evidence.model(name), name, policy) for name in BASELINES),
        cost_checks.beats_champion(rows, evidence.champion, policy),
        *cost_checks.segments(rows, evidence.champion, policy),
        forecast_checks.bias(rows, policy),
        forecast_checks.coverage(rows, policy),
        forecast_checks.count_noise(rows, policy),
        cost_checks.weather(rows, evidence, policy),
        cost_checks.foresight(rows, evidence, policy),
    ]
