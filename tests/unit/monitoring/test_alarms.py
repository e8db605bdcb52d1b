"""Alarms have names, reasons and a page to read; one training follows, not two."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from salescast.monitoring import alarms
from salescast.monitoring.alarms import Limits

LIMITS = Limits(9.0, 0.3, 0.05, 14, 91, 14, 28)
TODAY = pd.Timestamp("2025-03-01")
DAY = pd.Timedelta(days=1)
RUNBOOK = Path(__file__).parents[3] / "docs" / "runbook"


def make_news(days=30, each=0.5):
    """Return daily news of two places, `each` for the first and −0.5 for the second."""
    dates = pd.date_range(TODAY - (days - 1) * DAY, TODAY)
    parts = [
        pd.DataFrame({"date": dates, "location_id": place, "item_id": "u1", "log_ratio": news})
        for place, news in (("here", each), ("there", -0.5))
    ]
    return pd.concat(parts).assign(rain_probability=0.0, expected=10.0, variance=30.0)


def make_earlier(*names, ago=1):
    """Return alarms that were raised `ago` days before today."""
    rows = [{"name": name, "subject": "all series", "origin": TODAY - ago * DAY} for name in names]
    return pd.DataFrame(rows, columns=["name", "subject", "origin"]).astype(
        {"origin": "datetime64[us]"}
    )


def make_scored(units, days=40):
    """Return forecasts of 0 … 8 with the median 4, and `units` sold on each of 10 series."""
    dates = np.repeat(pd.date_range(TODAY - (days - 1) * DAY, TODAY), 10)
    levels = {f"p{10 * i}": float(i - 1) for i in range(1, 10)}
    return pd.DataFrame({"date": dates, **levels, "units": units, "sold_out": False})


def test_every_alarm_has_a_page_in_the_runbook():
    """Whoever is called at night finds a page of the alarm's name, and no page without alarm."""
    assert {path.stem for path in RUNBOOK.glob("*.md")} == set(alarms.SEVERITY)


def test_a_change_in_one_place_is_found_where_it_happens():
    """The whole chain says nothing while one city loses its customers."""
    (found,) = alarms.demand_shift({-0.3: make_news()}, LIMITS)
    assert found["name"] == "demand_shift"
    assert found["subject"] == "in here"
    assert found["evidence"]["since"] == f"{TODAY - 29 * DAY:%Y-%m-%d}"


def test_without_news_there_is_no_shift():
    """Days that say nothing alarm nobody."""
    assert alarms.demand_shift({-0.3: make_news(each=-0.1)}, LIMITS) == []


def test_outcomes_on_one_side_of_the_forecasts_are_a_bias():
    """Every outcome above the median, for forty days."""
    rng = np.random.default_rng(1)
    found = alarms.of_forecasts(make_scored(rng.integers(6, 9, 400)), LEVELS, 0.8, LIMITS)
    assert [a["name"] for a in found if a["severity"] == "page"] == ["forecast_bias"]


def test_outcomes_as_forecast_alarm_nobody():
    """A year of outcomes drawn from the forecasts themselves."""
    drawn = np.random.default_rng(2).integers(-1, 9, 3650)
    assert alarms.of_forecasts(make_scored(drawn, 365), LEVELS, 0.9, LIMITS) == []


LEVELS = [f"p{10 * i}" for i in range(1, 10)]


def test_a_day_sold_out_speaks_only_of_what_was_above():
    """Its rank is the middle of what is left, and it was held as likely as that says."""
    scored = make_scored(4, days=1).assign(sold_out=True)
    rank = alarms.ranks(scored, LEVELS)
    assert rank == pytest.approx(np.full(10, 0.75))
    assert alarms.held(scored, rank, 0.8) == pytest.approx(np.full(10, 0.8))


def test_an_alarm_is_not_repeated_within_its_cooldown():
    """The same name and subject wait a fortnight; another subject does not."""
    raised = [alarms.alarm("demand_shift", s, {}) for s in ("all series", "in london")]
    told = alarms.quiet(raised, make_earlier("demand_shift"), TODAY, 14)
    assert [a["subject"] for a in told] == ["in london"]
    assert len(alarms.quiet(raised, make_earlier("demand_shift", ago=15), TODAY, 14)) == 2


def test_repeating_a_day_raises_the_same_alarms():
    """A monitor that was killed after writing finds its own alarms and is not silenced."""
    raised = [alarms.alarm("demand_shift", "all series", {})]
    assert alarms.quiet(raised, make_earlier("demand_shift", ago=0), TODAY, 14) == raised


def why(raised, earlier=None, trained=200):
    """Return why there is a training today, or None."""
    earlier = make_earlier() if earlier is None else earlier
    due = alarms.training(raised, earlier, trained, TODAY, LIMITS)
    return due.why if due else None


def make_shift(ago):
    """Return the alarm of a shift that began `ago` days before today."""
    return alarms.alarm("demand_shift", "in here", {"since": f"{TODAY - ago * DAY:%Y-%m-%d}"})


BIASED = alarms.alarm("forecast_bias", "all series", {})


def test_an_alarm_asks_for_training_once():
    """Not again before the wait is over, though the alarm goes on."""
    assert why([BIASED], trained=20) == "forecast_bias"
    assert why([BIASED], trained=13) is None


def test_a_shift_is_learned_from_when_there_is_enough_to_learn():
    """Four weeks after it began, with the day it began on; a week after it is only told."""
    assert alarms.training([make_shift(7)], make_earlier(), 60, TODAY, LIMITS) is None
    due = alarms.training([make_shift(28)], make_earlier(), 60, TODAY, LIMITS)
    assert due == alarms.Training("demand_shift", "2025-02-01")


def test_the_schedule_asks_for_training_when_no_alarm_does():
    """A model is not older than a quarter."""
    assert why([], trained=90) is None
    assert why([], trained=91) == "schedule"


@pytest.mark.parametrize("name", alarms.HOLDS)
def test_nothing_is_learned_from_data_in_doubt(name):
    """Neither on the day of a quarantine nor in the week after."""
    assert why([BIASED, alarms.alarm(name, "sales", {})]) is None
    assert why([BIASED], make_earlier(name)) is None


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
    told = {"failed": [f | {"bad_rows": 1, "evidence": "why"} for f in failed]}
    found = [(a["name"], a["severity"]) for a in alarms.of_delivery(told)]
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


def make_doubt(days, moved=0.0, since="2025-02-01"):
    """Return daily doubt of two years' end around a half, moved since a day."""
    index = pd.date_range(end="2025-03-01", periods=days)
    noise = np.random.default_rng(3).normal(0.48, 0.06, days)
    return pd.Series(noise + np.where(index >= since, moved, 0.0), index=index)


@pytest.mark.parametrize("moved", [-0.11, 0.11])
def test_issues_that_know_more_or_less_than_usual_are_a_ticket(moved):
    """With the day since when, and how much doubt is left."""
    (found,) = alarms.issue_skill(make_doubt(400, moved), pd.Timestamp("2024-12-08"))
    told = found["evidence"]
    assert found["severity"] == "ticket"
    assert abs((pd.Timestamp(told["since"]) - pd.Timestamp("2025-02-01")).days) <= 7
    assert (told["doubt_left"] > told["usual"]) == (moved > 0)


def test_issues_as_ever_are_no_ticket():
    """Noise alone gathers nothing."""
    assert alarms.issue_skill(make_doubt(400), pd.Timestamp("2024-12-08")) == []


def test_what_is_usual_takes_half_a_year_to_know():
    """A new feed raises nothing about itself."""
    assert alarms.issue_skill(make_doubt(200, -0.2), pd.Timestamp("2024-12-08")) == []
