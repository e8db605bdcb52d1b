"""An alarm is open until evidence or a person resolves it; nothing hides it before."""

import pandas as pd

from salescast.monitoring import alarm_states
from salescast.monitoring.alarms import alarm

TODAY = pd.Timestamp("2025-03-01")
DAY = pd.Timedelta(days=1)
SHIFT = alarm("demand_shift", "all series", {})


def make_alarms(*opened):
    """Return the ledger's alarms for (name, day of opening)."""
    rows = [{"name": n, "origin": day, "subject": "all series"} for n, day in opened]
    frame = pd.DataFrame(rows, columns=["name", "origin", "subject"])
    return frame.astype({"origin": "datetime64[us]"})


def make_event(name, origin, kind="acknowledge", day=TODAY, person="ada"):
    """Return an event of an alarm."""
    event = {"name": name, "origin": origin, "subject": "all series", "kind": kind, "day": day}
    return event | {"person": person, "reason": "why"}


def make_events(*events):
    """Return the ledger's events."""
    columns = ["name", "origin", "subject", "kind", "day", "person", "reason"]
    frame = pd.DataFrame(list(events), columns=columns)
    return frame.astype({"origin": "datetime64[us]", "day": "datetime64[us]"})


def make_states(*opened, events=()):
    """Return the states of alarms."""
    return alarm_states.states(make_alarms(*opened), make_events(*events))


def test_an_alarm_is_open_acknowledged_then_resolved():
    """Its last event decides."""
    opened = ("demand_shift", TODAY - 3 * DAY)
    seen, over = make_event(*opened), make_event(*opened, kind="resolve")
    found = [
        make_states(opened, events=events)["state"].item() for events in ((), (seen,), (seen, over))
    ]
    assert found == ["open", "acknowledged", "resolved"]


def test_an_open_alarm_is_not_opened_twice():
    """It goes on; another subject is another alarm."""
    rows = make_states(("demand_shift", TODAY - DAY))
    there = alarm("demand_shift", "in london", {})
    assert alarm_states.newly_open([SHIFT, there, there], rows, TODAY) == [there]


def test_a_resolved_alarm_that_is_raised_again_is_a_new_one():
    """What came back is news."""
    opened = ("demand_shift", TODAY - 3 * DAY)
    rows = make_states(opened, events=[make_event(*opened, kind="resolve")])
    assert alarm_states.newly_open([SHIFT], rows, TODAY) == [SHIFT]


def test_repeating_a_day_opens_the_same_alarms():
    """A monitor that was killed after writing finds its own alarms and opens them again."""
    rows = make_states(("demand_shift", TODAY))
    assert alarm_states.newly_open([SHIFT], rows, TODAY) == [SHIFT]


def test_evidence_resolves_what_is_raised_no_more():
    """Only alarms whose tests ran, and none that needs a person."""
    days = TODAY - DAY
    names = ("demand_shift", "input_drift", "withdrawn", "forecast_bias")
    rows = make_states(*((name, days) for name in names))
    raised = [alarm("forecast_bias", "all series", {})]
    tested = {"demand_shift", "forecast_bias", "withdrawn"}
    events = alarm_states.cleared(raised, rows, tested, TODAY)
    assert [(e["name"], e["reason"], e["person"]) for e in events] == [
        ("demand_shift", "evidence", None)
    ]


def test_the_cooldown_silences_the_notifier_only():
    """Nobody is notified twice in a fortnight; the alarm is in the list all the same."""
    opened = ("demand_shift", TODAY - 3 * DAY)
    over = make_event(*opened, kind="resolve", day=TODAY - 2 * DAY, person=None)
    rows = make_states(opened, events=[over])
    (again,) = alarm_states.newly_open([SHIFT], rows, TODAY)
    assert alarm_states.to_notify([again], rows, TODAY, 14) == []
    assert alarm_states.to_notify([again], rows, TODAY + 20 * DAY, 14) == [SHIFT]


def test_an_alarm_has_one_short_id():
    """The same on the page, in the terminal and in the API."""
    first, second = make_states(("demand_shift", TODAY), ("forecast_bias", TODAY))["alarm_id"]
    assert first == alarm_states.alarm_id("demand_shift", TODAY, "all series") != second
