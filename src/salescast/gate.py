"""Whether a challenger may serve: each check with its value, its bound and its verdict."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from salescast import metrics
from salescast.backtest import saving
from salescast.model import BASELINES


@dataclass(frozen=True)
class Policy:
    """The bounds a challenger must keep."""

    min_origins: int
    max_bias: float
    coverage_80: tuple[float, float]
    tolerance: float
    seed: int


@dataclass(frozen=True)
class Check:
    """One question, its answer, what was asked for, and why it failed (empty: it did not)."""

    name: str
    value: float | str
    bound: str
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


def decide(
    scored: pd.DataFrame, champion: pd.DataFrame | None, quality: str, policy: Policy
) -> Decision:
    """Return whether the challenger may be promoted.

    `scored`: rows of `backtest.outcomes` for the models challenger, seasonal_naive and
    weekday_mean; `champion`: the champion's rows on the same origins, None where there is none;
    `quality`: the verdict on the data the challenger learned from.
    """
    rows = scored[scored["model"] == "challenger"]
    checks = [_quality(quality), _finite(rows), _enough(rows, policy)]
    if all(check.passed for check in checks):
        checks += [_beats(rows, scored, name, policy) for name in BASELINES]
        checks += [_bias(rows, policy), _coverage(rows, policy)]
        checks += [_champion(rows, champion, policy)] if champion is not None else []
    return Decision(tuple(checks))


def _check(name: str, value: float | str, bound: str, passed: bool, reason: str) -> Check:  # noqa: FBT001 - a result
    return Check(name, value, bound, bool(passed), "" if passed else reason)


def _quality(verdict: str) -> Check:
    passed = verdict != "rejected"
    reason = "the data it learned from were rejected; mend them and train again"
    return _check("data_quality", verdict, "not rejected", passed, reason)


def _finite(rows: pd.DataFrame) -> Check:
    numbers = rows.select_dtypes("number").to_numpy(float)
    share = float(np.isfinite(numbers).all(axis=1).mean()) if len(rows) else 0.0
    reason = f"only {share:.1%} of its predictions are finite numbers"
    return _check("finite", share, "= 1", share == 1.0, reason)


def _enough(rows: pd.DataFrame, policy: Policy) -> Check:
    origins = rows["origin"].nunique()
    reason = f"{origins} origins are too few to judge by; {policy.min_origins} are needed"
    return _check(
        "origins", float(origins), f">= {policy.min_origins}", origins >= policy.min_origins, reason
    )


def _beats(rows: pd.DataFrame, scored: pd.DataFrame, name: str, policy: Policy) -> Check:
    saved = saving(rows, scored[scored["model"] == name])
    (low,) = metrics.bootstrap(saved, [0.05], policy.seed)
    reason = (
        f"it is not surely cheaper than {name}: saves {np.mean(saved):.4f} a series-day, "
        f"95 % sure of {low:.4f}"
    )
    return _check(f"beats_{name}", low, "> 0 saved a series-day, 95 % sure", low > 0, reason)


def _bias(rows: pd.DataFrame, policy: Policy) -> Check:
    value = metrics.bias(rows["actual"].to_numpy(float), rows["mean"].to_numpy(float))
    reason = f"its bias of {value:+.1%} is beyond ±{policy.max_bias:.0%}"
    return _check(
        "bias", value, f"within ±{policy.max_bias}", abs(value) <= policy.max_bias, reason
    )


def _coverage(rows: pd.DataFrame, policy: Policy) -> Check:
    low, high = policy.coverage_80
    value = metrics.coverage(*(rows[c].to_numpy(float) for c in ("actual", "p10", "p90")))
    reason = f"p10…p90 hold {value:.1%} of outcomes, not {low:.0%}…{high:.0%}"
    return _check("coverage_80", value, f"{low}…{high}", low <= value <= high, reason)


def _champion(rows: pd.DataFrame, champion: pd.DataFrame, policy: Policy) -> Check:
    common = set(rows["origin"]) & set(champion["origin"])
    if len(common) < policy.min_origins:
        reason = f"only {len(common)} origins are common with the champion's"
        return _check("no_worse_than_champion", float(len(common)), "common origins", False, reason)
    ours, theirs = (
        frame.loc[frame["origin"].isin(common), "cost"].sum() for frame in (rows, champion)
    )
    ratio = float(ours / theirs)
    bound = 1 + policy.tolerance
    reason = f"it costs {ratio:.4f} × the champion on the same {len(common)} origins"
    return _check("no_worse_than_champion", ratio, f"<= {bound} × its cost", ratio <= bound, reason)
