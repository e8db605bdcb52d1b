"""One training follows an alarm, not two, and none while data are in doubt."""

import pandas as pd
import pytest

from salescast.monitoring import alarm_states
from salescast.monitoring.alarms import Limits, alarm
from salescast.monitoring.retraining import HOLDS, Training, training
from tests.unit.monitoring.test_alarm_states import make_alarms, make_event, make_events

LIMITS = Limits(9.5, 0.3, 0.05, 14, 91, 14, 28)
TODAY = pd.Timestamp("2025-03-01")
DAY = pd.Timedelta(days=1)
BIASED = alarm("forecast_bias", "all series", {})


def why(raised, opened=(), events=(), trained=200):
    """Return why there is a training today, or None."""
    rows = alarm_states.states(make_alarms(*opened), make_events(*events))
    due = training(raised, rows, trained, TODAY, LIMITS)
    return due.why if due else None


def make_shift(ago):
    """Return the alarm of a shift that began `ago` days before today."""
    return alarm("demand_shift", "in here", {"since": f"{TODAY - ago * DAY:%Y-%m-%d}"})


def test_an_alarm_causes_one_training():
    """Not another before the wait is over, though the alarm is still raised."""
    assert why([BIASED], trained=20) == "forecast_bias"
    assert why([BIASED], trained=13) is None


def test_a_shift_is_learned_from_when_there_is_enough_to_learn():
    """Four weeks after it began, with the day it began on."""
    rows = alarm_states.states(make_alarms(), make_events())
    assert training([make_shift(7)], rows, 60, TODAY, LIMITS) is None
    due = training([make_shift(28)], rows, 60, TODAY, LIMITS)
    assert due == Training("demand_shift", "2025-02-01")


def test_the_schedule_trains_when_no_alarm_does():
    """A model is not older than a quarter."""
    assert why([], trained=90) is None
    assert why([], trained=91) == "schedule"


@pytest.mark.parametrize("name", HOLDS)
def test_nothing_is_learned_from_data_in_doubt(name):
    """Neither while the alarm is open nor in the week after evidence has resolved it."""
    opened = (name, TODAY - 5 * DAY)
    cleared = make_event(*opened, kind="resolve", day=TODAY - 2 * DAY, person=None)
    assert why([BIASED, alarm(name, "sales", {})]) is None
    assert why([BIASED], [opened]) is None
    assert why([BIASED], [opened], [cleared]) is None


def test_a_person_who_resolves_a_doubt_ends_its_hold():
    """It was a false alarm."""
    opened = ("gauge_suspect", TODAY - 5 * DAY)
    resolved = make_event(*opened, kind="resolve", day=TODAY, person="ada")
    assert why([BIASED], [opened], [resolved]) == "forecast_bias"
