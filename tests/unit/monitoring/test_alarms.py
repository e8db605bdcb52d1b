"""Alarms have names, severities, reasons and a page to read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from salescast.monitoring import alarms

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbook"


def test_every_alarm_has_a_page_in_the_runbook():
    """Whoever is called at night finds a page of the alarm's name, and no page without alarm."""
    assert {path.stem for path in RUNBOOK.glob("*.md")} == set(alarms.SEVERITY)


def test_a_failed_check_becomes_the_alarm_of_its_kind():
    """A refused delivery is a page, a stuck gauge a ticket."""
    failed = [
        {"name": "sales_rows_per_day", "table": "sales", "severity": "critical"},
        {
            "name": "weather_observed_gauge_not_stuck",
            "table": "weather_observed",
            "severity": "info",
        },
    ]
    delivery = {"failed": [f | {"bad_rows": 1, "evidence": "why"} for f in failed]}
    found = [(a["name"], a["severity"]) for a in alarms.of_delivery(delivery)]
    assert found == [("delivery_refused", "page"), ("gauge_suspect", "ticket")]


def test_drift_within_what_earlier_years_did_is_no_ticket():
    """What one earlier year was to another is usual; more than that is drift."""
    assert alarms.drifted({"rain_mm": 0.4}, {"rain_mm": 0.5}, 0.25) == []
    assert len(alarms.drifted({"rain_mm": 0.6}, {"rain_mm": 0.5}, 0.25)) == 1


def test_inputs_that_drift_together_are_one_ticket():
    """A cold month moves many inputs; one look is enough."""
    (found,) = alarms.drifted({"a": 0.9, "b": 0.6, "c": 0.1}, {"b": 0.2}, 0.25)
    assert (found["subject"], found["evidence"]["input"]) == ("inputs", "a")
    assert found["evidence"]["also"] == "b"


def make_uncertainty(days, change=0.0, since="2025-02-01"):
    """Return daily uncertainty around a half, changed since a day."""
    index = pd.date_range(end="2025-03-01", periods=days)
    noise = np.random.default_rng(3).normal(0.48, 0.06, days)
    return pd.Series(noise + np.where(index >= since, change, 0.0), index=index)


@pytest.mark.parametrize("change", [-0.11, 0.11])
def test_issues_that_know_more_or_less_than_usual_are_a_ticket(change):
    """With the day since when, and how much uncertainty is left."""
    (found,) = alarms.issue_skill(make_uncertainty(400, change), pd.Timestamp("2024-12-08"))
    evidence = found["evidence"]
    assert found["severity"] == "ticket"
    assert abs((pd.Timestamp(evidence["since"]) - pd.Timestamp("2025-02-01")).days) <= 7
    assert (evidence["uncertainty_left"] > evidence["usual"]) == (change > 0)


def test_issues_as_ever_are_no_ticket():
    """Noise alone gathers nothing."""
    assert alarms.issue_skill(make_uncertainty(400), pd.Timestamp("2024-12-08")) == []


def test_what_is_usual_takes_half_a_year_to_know():
    """A new feed raises nothing about itself."""
    assert alarms.issue_skill(make_uncertainty(200, -0.2), pd.Timestamp("2024-12-08")) == []


def test_correlated_uncertainty_raises_few_tickets():
    """Forty calm years of days that correlate by 0.3: at most one false ticket in eight years."""
    rng, years = np.random.default_rng(4), 40
    tickets = 0
    for _ in range(years):
        noise = rng.normal(0, 0.06, 400)
        for day in range(1, 400):
            noise[day] = 0.3 * noise[day - 1] + np.sqrt(1 - 0.09) * noise[day]
        index = pd.date_range(end="2025-03-01", periods=400)
        calm = pd.Series(0.48 + noise, index=index)
        tickets += len(alarms.issue_skill(calm, pd.Timestamp("2024-12-08")))
    assert tickets <= years / 8
