"""Whether a challenger may serve: each check with its value, bound, evidence and verdict.

Money is compared on the same rows, summed by origin. Neighbouring origins share days, so their
savings hang together: bounds come from a bootstrap of blocks of origins.
"""

import pandas as pd

from salescast.evaluation.cost_checks import beats, champion, foresight, segments, shuffled, weather
from salescast.evaluation.decision import Check, Decision, Evidence, Measured, Policy
from salescast.evaluation.forecast_checks import (
    bias,
    contract,
    count_noise,
    coverage,
    enough,
    finite,
    quality,
)
from salescast.evaluation.model_checks import itself
from salescast.models import BASELINES

__all__ = ["Check", "Decision", "Evidence", "Measured", "Policy", "decide"]


def decide(evidence: Evidence, policy: Policy) -> Decision:
    """Return whether the challenger may be promoted.

    Costs are looked at only where the rows can be compared at all; see docs/explanation/gate.md.
    """
    rows = evidence.of("challenger")
    first = [quality(evidence.quality), contract(rows, evidence.of(BASELINES[0]))]
    first += [finite(rows), enough(rows, policy)]
    scores = _scores(evidence, rows, policy) if all(check.passed for check in first) else []
    return Decision((*first, *scores, *itself(evidence.measured, policy)))


def _scores(evidence: Evidence, rows: pd.DataFrame, policy: Policy) -> list[Check]:
    checks = [beats(rows, evidence.of(name), name, policy) for name in BASELINES]
    checks.append(champion(rows, evidence.champion, policy))
    checks += segments(rows, evidence.champion, policy)
    checks += [bias(rows, policy), coverage(rows, policy), count_noise(rows, policy)]
    checks += [weather(rows, evidence, policy), foresight(rows, evidence, policy)]
    return [*checks, shuffled(rows, evidence, policy)]
