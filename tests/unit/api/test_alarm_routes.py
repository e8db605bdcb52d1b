"""Alarms as callers see and handle them."""

import pandas as pd
import pytest

from salescast.monitoring.alarms import alarm
from tests.serving import ask, check_problem

DAY = pd.Timestamp("2023-07-20")


@pytest.fixture
def alarm_id(app):
    """Return the id of an open page."""
    app.state.ledger.record_alarms([alarm("demand_shift", "in london", {}) | {"origin": DAY}])
    (found,) = ask(app, "GET", "/v1/alarms").json()["alarms"]
    assert (found["state"], found["severity"]) == ("open", "page")
    return found["alarm_id"]


def change(app, alarm_id, kind):
    """Return the answer to a person who acknowledges or resolves an alarm."""
    body = {"person": "ada", "reason": "a rival opened"}
    return ask(app, "POST", f"/v1/alarms/{alarm_id}/{kind}", json=body)


def test_an_acknowledged_alarm_stays_in_the_list_with_its_person(app, alarm_id):
    """Whoever looks next knows that somebody is on it."""
    assert change(app, alarm_id, "acknowledge").json()["state"] == "acknowledged"
    (found,) = ask(app, "GET", "/v1/alarms").json()["alarms"]
    assert (found["state"], found["person"]) == ("acknowledged", "ada")
    assert found["reason"] == "a rival opened"


def test_a_resolved_alarm_is_listed_only_on_request(app, alarm_id):
    """The ledger keeps it."""
    change(app, alarm_id, "resolve")
    assert ask(app, "GET", "/v1/alarms").json()["alarms"] == []
    (found,) = ask(app, "GET", "/v1/alarms?resolved=true").json()["alarms"]
    assert found["state"] == "resolved"


def test_an_unknown_alarm_is_a_problem(app):
    """Nothing is recorded about it."""
    answer = change(app, "00000000", "resolve")
    check_problem(answer)
    assert answer.status_code == 404
    assert app.state.ledger.alarm_events().empty
