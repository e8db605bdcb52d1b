"""The alarms: their names and severities, and those about deliveries, inputs and weather issues.

Errors of forecasts page a person; drift of inputs only explains. Every name has a page in
docs/runbook. See `shift_tests` for the alarms about forecasts, `alarm_states` for their life.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.monitoring.sequential import day_correlation, mean_shift

Severity = Literal["page", "ticket"]
Alarm = dict[str, Any]

SEVERITY: Mapping[str, Severity] = {
    "delivery_refused": "page",
    "data_stale": "page",
    "issues_missing": "page",
    "demand_shift": "page",
    "forecast_bias": "page",
    "coverage_off": "ticket",
    "rows_quarantined": "ticket",
    "gauge_suspect": "ticket",
    "gauge_silent": "ticket",
    "sales_late": "ticket",
    "rows_repeated": "ticket",
    "delivery_odd": "ticket",
    "input_drift": "ticket",
    "issue_skill": "ticket",
    "new_series": "ticket",
    "training_refused": "ticket",
    "withdrawn": "page",
}
"""Severity by alarm: a page needs a person now, a ticket this week."""

CHECKS: Mapping[str, str] = {
    "sales_recorded_in_time": "sales_late",
    "sales_fresh": "sales_late",
    "sales_from_every_place": "sales_late",
    "sales_rows_not_repeated": "rows_repeated",
    "weather_observed_fresh": "gauge_silent",
    "weather_observed_gauge_not_stuck": "gauge_suspect",
    "weather_observed_rain_amounts_usual": "gauge_suspect",
    "weather_forecast_issues_complete": "issues_missing",
}
"""Alarm by failed check of a delivery that only warns."""

DAY = pd.Timedelta(days=1)
YEAR = 365 * DAY
SKILL_EVIDENCE = 8.0  # less than a page needs: a false ticket in eight years at most
MIN_USUAL = 180  # days of issues that show what is usual


@dataclass(frozen=True)
class Limits:
    """How much evidence alarms need, and how often they notify and train.

    `evidence`: a logarithm, see `sequential`; `shift`: relative change of demand worth a page;
    `tolerance`: deviation of coverage and ranks that is still accepted.
    """

    evidence: float
    shift: float
    tolerance: float
    cooldown_days: int
    retrain_days: int
    wait_days: int
    adapt_days: int


def alarm(name: str, subject: str, evidence: Mapping[str, Any]) -> Alarm:
    """Return the alarm `name` about `subject`, with its severity and its page of the runbook."""
    return {
        "name": name,
        "severity": SEVERITY[name],
        "subject": subject,
        "evidence": dict(evidence),
        "runbook": f"docs/runbook/{name}.md",
    }


def of_delivery(delivery: Mapping[str, Any]) -> Iterator[Alarm]:
    """Yield the alarms about a delivery's failed checks (`Verdict.as_dict`)."""
    for check in delivery["failed"]:
        evidence = {"check": check["name"], "rows": check["bad_rows"], "why": check["evidence"]}
        if check["severity"] == "critical":
            yield alarm("delivery_refused", check["table"], evidence)
        elif check["severity"] == "warning":
            yield alarm("rows_quarantined", check["table"], evidence)
        else:
            yield alarm(CHECKS.get(check["name"], "delivery_odd"), check["name"], evidence)


def issue_skill(uncertainty: pd.Series, since: pd.Timestamp) -> list[Alarm]:
    """Return a ticket where weather issues are better or worse than in the year before `since`.

    `uncertainty`: see `live_scores.issue_uncertainty`. Its days are autocorrelated as in that year.
    """
    before = (uncertainty.index < since) & (uncertainty.index >= since - YEAR)
    usual, days = uncertainty[before].to_numpy(float), uncertainty[uncertainty.index >= since]
    if len(usual) < MIN_USUAL or days.empty or usual.std() == 0.0:
        return []
    noise, correlation = float(usual.std()), day_correlation(usual)
    sides = mean_shift(days.to_numpy(float), float(usual.mean()), noise, correlation)
    path = max(sides, key=lambda side: float(side[-1]))
    if path[-1] <= SKILL_EVIDENCE:
        return []
    start = change_point(path)
    share_before, share_now = usual.mean(), days.iloc[start:].mean()
    evidence = {
        "log_evidence": float(path[-1]),
        "uncertainty_left": float(share_now / (1.0 - share_now)),
        "usual": float(share_before / (1.0 - share_before)),
        "since": f"{days.index[start]:%Y-%m-%d}",
    }
    return [alarm("issue_skill", "all places", evidence)]


def change_point(path: NDArray[np.float64]) -> int:
    """Return the day on which the evidence last started to grow: when the change began."""
    return int(np.flatnonzero(path <= 0)[-1]) + 1 if (path <= 0).any() else 0


def drifted(
    drifts: Mapping[str, float], usual: Mapping[str, float], threshold: float
) -> list[Alarm]:
    """Return one ticket where inputs differ from their season more than in any earlier year.

    The evidence names the input that differs most, and the others.
    """
    unusual = {
        column: value
        for column, value in drifts.items()
        if value > max(threshold, usual.get(column, threshold))
    }
    if not unusual:
        return []
    most = max(unusual, key=lambda column: unusual[column] - usual.get(column, threshold))
    evidence = {"psi": unusual[most], "usual": usual.get(most, threshold)}
    others = ", ".join(sorted(column for column in unusual if column != most))
    return [alarm("input_drift", "inputs", evidence | {"input": most, "also": others})]


def newcomers(stores: pd.DataFrame, today: pd.Timestamp) -> list[Alarm]:
    """Return a ticket for each store that has just opened or is about to."""
    soon = stores[(stores["opened_on"] > today - 7 * DAY) & (stores["recorded_at"] <= today + DAY)]
    return [
        alarm("new_series", str(row.store_id), {"opens": f"{row.opened_on:%Y-%m-%d}"})
        for row in soon.itertuples()
    ]
