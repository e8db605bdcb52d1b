"""What the gate looks at, what it asks for, and what it answers."""

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Policy:
    """The bounds a challenger must keep.

    `promotion_error`: chance of an error where it is compared with the champion: challengers come
    again and again, and what saves often and loses rarely looks better than it is, so that 1 %
    keeps the worse from being promoted in at most 5 % of cases (`make bench-gate`).
    `unit`: what savings are summed by, origin or date; `block`: how many of them hang together.
    """

    min_origins: int
    min_saving: float
    promotion_error: float
    max_bias: float
    coverage_80: tuple[float, float]
    segment_margin: float
    max_foresight: float
    max_refit_change: float
    max_stale_days: int
    max_model_mb: float
    min_rows_per_second: float
    unit: str
    block: int
    seed: int


@dataclass(frozen=True)
class Measured:
    """What was measured on the challenger itself, the model that would serve.

    `poisoned`, `skewed`: share of sampled rows whose numbers change when what became known after
    the origin is garbage, and when the registry's copy forecasts from the tables. `refit`: how far
    the released refit's means are from the gated fit's, as a share of the gated fit's.
    """

    poisoned: float
    skewed: float
    refit: float
    trained_until: str
    stale_days: float
    model_mb: float
    rows_per_second: float


@dataclass(frozen=True)
class Evidence:
    """What the gate looks at.

    `scored`: rows of `backtest.outcomes` of the challenger, the baselines and the twins of
    `controls`; `champion`: the champion's on the same origins, None where there is none;
    `quality`: the verdict on the data; `weather`: what the challenger is told: issued, climatology
    or none.
    """

    scored: pd.DataFrame
    champion: pd.DataFrame | None
    quality: str
    weather: str
    measured: Measured

    def of(self, model: str) -> pd.DataFrame:
        """Return one model's rows."""
        return self.scored[self.scored["model"] == model]


@dataclass(frozen=True)
class Check:
    """One question, its answer, what was asked for, and why it failed (empty: it did not)."""

    name: str
    value: float | str
    bound: str
    evidence: str
    passed: bool
    reason: str


@dataclass(frozen=True)
class Decision:
    """The verdict and every check behind it."""

    checks: tuple[Check, ...]

    @property
    def promote(self) -> bool:
        """True only if every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the challenger was refused; empty when it was not."""
        return tuple(check.reason for check in self.checks if not check.passed)

    def as_dict(self) -> dict[str, Any]:
        """Return the decision as plain values."""
        verdict = "promote" if self.promote else "refuse"
        return {"verdict": verdict, "checks": [asdict(check) for check in self.checks]}


def check(
    name: str,
    answer: tuple[float | str, str],
    evidence: str,
    passed: bool,  # noqa: FBT001 - a result
    fix: str,
) -> Check:
    """Return a check; `answer` = (value, bound). What failed says what to do about it."""
    value, bound = answer
    value = value if isinstance(value, str) else float(value)
    return Check(name, value, bound, evidence, bool(passed), "" if passed else f"{evidence}; {fix}")
