"""The gate's evidence, policy, checks and decision."""

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Policy:
    """The bounds that a challenger must keep.

    `promotion_error`: chance of a mistake in each comparison of cost, and over all segments
    together (`make bench-verdicts`). `coverage_80`: least share of outcomes in p10 … p90 with its
    bounds, largest share between them. `unit`: savings are summed by origin or by date.
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


@dataclass(frozen=True)
class Measured:
    """Measurements of the challenger's registered model.

    `poisoned`: share of sampled rows that change when everything known after the origin is
    garbage; `skewed`: share that differ between the registry's copy and the batch; `refit`: mean
    absolute difference of the released refit from the judged fit ÷ the mean of the judged fit.
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
    """Everything the gate decides on.

    `scored`: rows of `backtest.outcomes` of the challenger, the baselines and the twins of
    `controls`; `champion`: those of the champion on the same origins, None where there is none;
    `quality`: verdict on the data; `weather`: the challenger's input: issued, climatology or none.
    """

    scored: pd.DataFrame
    champion: pd.DataFrame | None
    quality: str
    weather: str
    measured: Measured

    def model(self, name: str) -> pd.DataFrame:
        """Return the rows of one model."""
        return self.scored[self.scored["model"] == name]


@dataclass(frozen=True)
class Check:
    """One check: its value, bound and evidence, and the reason if it failed (else empty)."""

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
        """Return why the challenger was refused; empty when it was not."""
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
    """Return a check; `answer` = (value, bound). A failed check's reason ends with the fix."""
    value, bound = answer
    value = value if isinstance(value, str) else float(value)
    return Check(name, value, bound, evidence, bool(passed), "" if passed else f"{evidence}; {fix}")
