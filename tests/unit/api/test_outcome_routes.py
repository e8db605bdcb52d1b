"""Outcomes as callers report them."""

import json
from datetime import timedelta

import pytest

from api.schemas import Recorded
from tests.serving import ASK, JSON, NOW, SECRET, ask, check_problem


def outcome(**changes):
    """Return a request with one outcome."""
    return {"outcomes": [ASK["series"][0] | {"date": "2023-07-21", "units": 5} | changes]}


def send(app, body):
    """Return how many outcomes were recorded and how many were known already."""
    answer = ask(app, "POST", "/v1/outcomes", json=body)
    assert answer.status_code == 200, answer.text
    found = Recorded.model_validate_json(answer.content, extra="forbid")
    return found.recorded, found.unchanged


def test_the_same_outcome_is_recorded_once(app):
    """A request may be repeated."""
    assert [send(app, outcome()), send(app, outcome())] == [(1, 0), (0, 1)]


@pytest.mark.parametrize("change", [{"units": 6}, {"sold_out": True}], ids=str)
def test_a_correction_counts_from_then_on(app, change):
    """The earlier outcome stays in the ledger."""
    send(app, outcome())

    assert send(app, outcome(**change)) == (1, 0)
    last = app.state.ledger.outcomes().iloc[0]
    assert {name: last[name] for name in change} == change


WRONG = {
    "less than nothing": ({"units": -1}, 422),
    "half an umbrella": ({"units": 1.5}, 422),
    "no day": ({"date": "2023-02-31"}, 422),
    "tomorrow": ({"date": f"{NOW + timedelta(days=1):%Y-%m-%d}"}, 422),
    "long ago": ({"date": "1066-10-14"}, 422),
    "a moment": ({"date": "2023-07-21T00:00:00"}, 422),
    "unknown series": ({"store_id": SECRET}, 404),
    "unknown field": ({SECRET: 1}, 422),
}


@pytest.mark.parametrize(("change", "status"), WRONG.values(), ids=WRONG)
def test_a_wrong_outcome_is_a_problem_and_records_nothing(app, change, status):
    """All or nothing: the right one beside it is not recorded either."""
    both = outcome(date="2023-07-22")["outcomes"] + outcome(**change)["outcomes"]

    answer = ask(app, "POST", "/v1/outcomes", json={"outcomes": both})

    assert answer.status_code == status
    check_problem(answer)
    assert app.state.ledger.outcomes().empty


def test_one_day_cannot_have_two_outcomes_in_one_request(app):
    """Nobody could say which of them came later."""
    body = {"outcomes": outcome()["outcomes"] + outcome(units=6)["outcomes"]}

    assert ask(app, "POST", "/v1/outcomes", json=body).status_code == 422


def test_json_bodies_of_all_posts_are_strict(app):
    """A repeated name is 400 everywhere."""
    for path in ("/v1/outcomes", "/v1/forecasts"):
        answer = ask(app, "POST", path, content='{"a": 1, "a": 2}', headers=JSON)
        assert answer.status_code == 400
        assert json.loads(answer.content)["status"] == 400
