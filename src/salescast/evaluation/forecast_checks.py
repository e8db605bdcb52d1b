"""Checks of the forecasts themselves: whole, finite, enough, unbiased, honest in their spread."""

import numpy as np
import pandas as pd

from salescast.evaluation import metrics
from salescast.evaluation.decision import Check, Policy, check
from salescast.evaluation.inference import DAY, per, surely
from salescast.models.forecaster import quantile_column


def quality(verdict: str) -> Check:
    """Judge the data that the challenger learned from, by the verdict on them."""
    said = f"the data it learned from were {verdict.replace('_', ' ')}"
    answer = verdict, "not rejected"
    passed = verdict != "rejected"
    return check("data_quality", answer, said, passed, "mend them and train again")


def contract(rows: pd.DataFrame, baseline: pd.DataFrame) -> Check:
    """Ask for one row per series, origin and day, with quantiles that rise from 0 or more."""
    levels = [name for name in rows if _level(str(name))]
    quantiles = rows[sorted(levels, key=_level)].to_numpy(float)
    wrong = int(((np.diff(quantiles, axis=1) < 0).any(axis=1) | (quantiles < 0).any(axis=1)).sum())
    wrong += int(rows.duplicated([*DAY]).sum())
    wrong += abs(len(baseline) - len(baseline.merge(rows[[*DAY]], on=[*DAY])))
    said = f"{wrong:,} of {len(baseline):,} forecasts are missing, double or not rising from 0"
    return check("contract", (float(wrong), "= 0"), said, wrong == 0, "mend model.predict")


def _level(name: str) -> float:
    """Return the level of a quantile's column, 0 for any other column."""
    number = name.removeprefix("p")
    is_level = name.startswith("p") and number.replace(".", "", 1).isdigit()
    level = float(number) / 100 if is_level else 0.0
    return level if level and quantile_column(level) == name else 0.0


def finite(rows: pd.DataFrame) -> Check:
    """Ask that every number is one."""
    numbers = rows.select_dtypes("number").to_numpy(float)
    share = float(np.isfinite(numbers).all(axis=1).mean()) if len(rows) else 0.0
    said = f"{share:.1%} of its forecasts are finite numbers"
    return check("finite", (share, "= 1"), said, share == 1.0, "look for what is not a number")


def enough(rows: pd.DataFrame, policy: Policy) -> Check:
    """Ask for enough origins to tell skill from luck."""
    count, least = rows["origin"].nunique(), policy.min_origins
    said = f"it was examined at {count} origins, {least} are asked for"
    fix = "too few to judge by: raise backtest.cutoffs"
    return check("origins", (float(count), f">= {least}"), said, count >= least, fix)


def bias(rows: pd.DataFrame, policy: Policy) -> Check:
    """Ask that the means add up."""
    value = metrics.bias(rows["actual"].to_numpy(float), rows["mean"].to_numpy(float))
    said = f"its means are {value:+.1%} off in sum"
    answer, fix = (value, f"within ±{policy.max_bias}"), f"more than ±{policy.max_bias:.0%} is bias"
    return check("bias", answer, said, abs(value) <= policy.max_bias, fix)


def coverage(rows: pd.DataFrame, policy: Policy) -> Check:
    """Ask that the middle of the distribution holds about as much as it says."""
    low, high = policy.coverage_80
    value = metrics.coverage(*(rows[c].to_numpy(float) for c in ("actual", "p10", "p90")))
    said = f"p10…p90 hold {value:.1%} of outcomes"
    fix = f"{low:.0%}…{high:.0%} are asked for: the intervals mislead whoever orders by them"
    return check("coverage_80", (value, f"{low}…{high}"), said, low <= value <= high, fix)


def count_noise(rows: pd.DataFrame, policy: Policy) -> Check:
    """Sound an alarm where errors are smaller than a Poisson count's: it knew too much."""
    sold = rows[~rows["sold_out"].astype(bool)]  # where it was sold out, demand is an estimate
    square, mean = (sold["actual"] - sold["mean"]) ** 2, sold["mean"]
    missing = per(policy.unit, sold.assign(missing=mean - square), "missing")
    ratio = float(square.sum() / max(mean.sum(), 1e-9))
    said = f"its squared error is {ratio:.2f} × the least that counting allows"
    passed = surely(missing, policy.block, policy.seed) <= 0
    fix = "better than plausible: look for the outcome among what it is told"
    return check("count_noise", (ratio, "not surely < 1"), said, passed, fix)
