"""Checks of the forecasts: complete, finite, enough origins, unbiased, calibrated, plausible."""

import numpy as np
import pandas as pd

from salescast.evaluation import metrics
from salescast.evaluation.decision import Check, Policy, check
from salescast.evaluation.inference import DAY, lower_bound, unit_means
from salescast.models.forecaster import quantile_column


def quality(verdict: str) -> Check:
    """Refuse a model that was trained on rejected data."""
    summary = f"the training data were {verdict.replace('_', ' ')}"
    passed = verdict != "rejected"
    answer = verdict, "not rejected"
    return check("data_quality", answer, summary, passed, "correct them and train again")


def contract(rows: pd.DataFrame, baseline: pd.DataFrame) -> Check:
    """Require one row per series, origin and day, with rising quantiles that are not negative."""
    levels = [name for name in rows if _level(str(name))]
    quantiles = rows[sorted(levels, key=_level)].to_numpy(float)
    wrong = int(((np.diff(quantiles, axis=1) < 0).any(axis=1) | (quantiles < 0).any(axis=1)).sum())
    wrong += int(rows.duplicated([*DAY]).sum())
    wrong += abs(len(baseline) - len(baseline.merge(rows[[*DAY]], on=[*DAY])))
    problem = "missing, double, negative or not rising"
    summary = f"{wrong:,} of {len(baseline):,} forecasts are {problem}"
    return check("contract", (float(wrong), "= 0"), summary, wrong == 0, "correct model.predict")


def _level(name: str) -> float:
    """Return the level of a quantile's column, 0 for any other column."""
    number = name.removeprefix("p")
    is_level = name.startswith("p") and number.replace(".", "", 1).isdigit()
    level = float(number) / 100 if is_level else 0.0
    return level if level and quantile_column(level) == name else 0.0


def finite(rows: pd.DataFrame) -> Check:
    """Require finite numbers."""
    numbers = rows.select_dtypes("number").to_numpy(float)
    share = float(np.isfinite(numbers).all(axis=1).mean()) if len(rows) else 0.0
    summary = f"{share:.1%} of its forecasts are finite numbers"
    fix = "look for missing or infinite values"
    return check("finite", (share, "= 1"), summary, share == 1.0, fix)


def enough(rows: pd.DataFrame, policy: Policy) -> Check:
    """Require enough origins for the tests to hold their error rate."""
    count, least = rows["origin"].nunique(), policy.min_origins
    summary = f"it was tested at {count} origins, {least} are needed"
    fix = "not enough history: raise backtest.cutoffs"
    return check("origins", (float(count), f">= {least}"), summary, count >= least, fix)


def bias(rows: pd.DataFrame, policy: Policy) -> Check:
    """Require that the means add up to the outcomes."""
    value = metrics.bias(rows["actual"].to_numpy(float), rows["mean"].to_numpy(float))
    summary = f"the sum of its means is {value:+.1%} off"
    answer, fix = (value, f"within ±{policy.max_bias}"), f"more than ±{policy.max_bias:.0%} is bias"
    return check("bias", answer, summary, abs(value) <= policy.max_bias, fix)


def coverage(rows: pd.DataFrame, policy: Policy) -> Check:
    """Require that p10 … p90 hold 80 % of outcomes, wherever outcomes on the bounds are counted.

    Demand is counted, so calibrated intervals hold less than 80 % without their bounds and more
    with them.
    """
    low, high = policy.coverage_80
    actual, p10, p90 = (rows[c].to_numpy(float) for c in ("actual", "p10", "p90"))
    held = metrics.coverage(actual, p10, p90)
    between = float(((actual > p10) & (actual < p90)).mean())
    summary = f"p10…p90 hold {held:.1%} of outcomes with their bounds, {between:.1%} without"
    fix = "the intervals are too narrow" if held < low else "the intervals are too wide"
    answer = held, f">= {low} with, <= {high} without the bounds"
    return check("coverage_80", answer, summary, held >= low and between <= high, fix)


def count_noise(rows: pd.DataFrame, policy: Policy) -> Check:
    """Refuse errors that are clearly smaller than a Poisson count's: the model saw the outcome."""
    sold = rows[~rows["sold_out"].astype(bool)]  # sold-out days have an estimate, not a count
    square, mean = (sold["actual"] - sold["mean"]) ** 2, sold["mean"]
    missing = unit_means(policy.unit, sold.assign(missing=mean - square), "missing")
    ratio = float(square.sum() / max(mean.sum(), 1e-9))
    summary = f"its squared error is {ratio:.2f} × a Poisson count's"
    passed = bool(lower_bound(missing, policy.promotion_error) <= 0)
    fix = "better than plausible: look for the outcome among the features"
    return check("count_noise", (ratio, "not clearly < 1"), summary, passed, fix)
