"""What is proposed, what planners decide, and what is released."""

import csv
import io

import pandas as pd
import pytest

from api.order_schemas import Orders
from tests.serving import JSON, NOW, RECEIPTS, SECRET, ask, check_problem, make_orders


def test_orders_come_as_json_with_what_they_rest_on(app):
    """Both stores' orders, in dollars and units, nothing degraded."""
    app.state.ledger.record_orders(make_orders())

    answer = ask(app, "GET", "/v1/orders")

    found = Orders.model_validate_json(answer.content, strict=True, extra="forbid")
    assert [one.store_id for one in found.orders] == ["s1", "s2"]
    assert (found.orders[0].order, found.currency, found.degraded) == (48, "USD", [])


@pytest.mark.parametrize(
    ("query", "accept"), [("?format=csv&store=s2", "*/*"), ("?store=s2", "text/csv")]
)
def test_orders_come_as_csv_where_it_is_asked_for(app, query, accept):
    """By the address or by the header; of one store."""
    app.state.ledger.record_orders(make_orders())

    answer = ask(app, "GET", f"/v1/orders{query}", headers={"Accept": accept})

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-type"].startswith("text/csv")
    assert [(row["store_id"], row["order"]) for row in rows] == [("s2", "48")]


def test_a_spreadsheet_runs_nothing_that_stands_in_a_name(proposed):
    """A name that begins like a formula is text."""
    decide(proposed, approve(), planner="=1+1")

    assert "'=1+1" in ask(proposed, "GET", "/v1/orders?format=csv").text


@pytest.mark.parametrize(
    ("orders", "missed"),
    [(make_orders().iloc[:0], "orders_missing"), (make_orders(model_version="2"), "orders_old")],
    ids=["none", "of another model"],
)
def test_orders_say_when_they_are_not_of_what_serves(app, orders, missed):
    """No silent mixture of versions."""
    app.state.ledger.record_orders(orders)

    assert ask(app, "GET", "/v1/orders").json()["degraded"] == [missed]


@pytest.fixture
def proposed(app):
    """Return the application with one proposed order in each of two stores."""
    app.state.ledger.record_orders(make_orders())
    return app


def decide(app, *decisions, planner="Ann"):
    """Return the answer to decisions about many orders."""
    body = {"planner": planner, "decisions": list(decisions)}
    return ask(app, "POST", "/v1/orders/decisions", json=body)


def approve(number=0, revision=0):
    """Return the approval of one of the two orders."""
    return {"receipt_id": RECEIPTS[number], "revision": revision, "action": "approve"}


def edit(number=0, revision=0, quantity=60, reason="promotion", **rest):
    """Return a change of one of the two orders."""
    about = {"receipt_id": RECEIPTS[number], "revision": revision, "action": "edit"}
    return about | {"quantity": quantity, "reason": reason} | rest


def release(app, release_id="monday-1", **rest):
    """Return the answer to a release."""
    body = {"release_id": release_id, "planner": "Ann"} | rest
    return ask(app, "POST", "/v1/orders/releases", json=body)


def states(app):
    """Return status, revision and quantity of the two orders."""
    orders = ask(app, "GET", "/v1/orders").json()["orders"]
    return [(one["status"], one["revision"], one["quantity"]) for one in orders]


def test_orders_have_names_and_reasons_to_look_at_them(proposed):
    """A planner reads names, and sees first what needs a decision."""
    order = ask(proposed, "GET", "/v1/orders").json()["orders"][0]

    assert (order["item_name"], order["location_id"], order["pack_size"]) == ("umbrella", "p1", 12)
    assert "unusual_demand" not in order["attention"]
    assert order["forecast_per_day"] > 0


def test_an_approved_order_has_the_proposed_quantity(proposed):
    """Who, when and what stand in the ledger."""
    assert decide(proposed, approve()).json()["decisions"][0]["quantity"] == 48

    row = proposed.state.ledger.order_decisions().iloc[0]
    assert (row["planner"], row["action"], row["revision"]) == ("Ann", "approve", 1)
    assert states(proposed) == [("approved", 1, 48), ("proposed", 0, None)]


def test_many_orders_are_decided_together(proposed):
    """Approve one, edit the other, in one request."""
    answer = decide(proposed, approve(0), edit(1, note="Easter fair"))

    assert answer.status_code == 200
    assert states(proposed) == [("approved", 1, 48), ("approved", 1, 60)]


def test_a_later_decision_replaces_an_earlier_one_and_both_are_kept(proposed):
    """The ledger only grows."""
    decide(proposed, approve())
    decide(proposed, approve(revision=1) | {"action": "reject", "reason": "range"})

    assert states(proposed)[0] == ("rejected", 2, 0)
    assert len(proposed.state.ledger.order_decisions()) == 2


def test_a_planner_who_is_too_late_learns_who_was_faster_and_overwrites_nothing(proposed):
    """Neither for the order that changed, nor for the other one of the request."""
    decide(proposed, edit(), planner="Bob")

    answer = decide(proposed, approve(1), approve(0), planner="Ann")

    assert (answer.status_code, answer.json()["type"]) == (412, "/docs#order-changed")
    assert "Bob" in answer.json()["detail"]
    assert "order 2" in answer.json()["detail"]
    assert states(proposed) == [("approved", 1, 60), ("proposed", 0, None)]


def test_one_order_is_decided_under_its_entity_tag(proposed):
    """GET names the tag; If-Match sends it back; without it nothing happens."""
    path = f"/v1/orders/{RECEIPTS[0]}"
    tag = ask(proposed, "GET", path).headers["etag"]
    body = {"action": "approve", "planner": "Ann"}
    codes = [
        ask(proposed, "POST", f"{path}/decisions", json=body, headers=headers).status_code
        for headers in ({}, {"If-Match": '"7"'}, {"If-Match": tag}, {"If-Match": tag})
    ]

    assert codes == [428, 412, 200, 412]
    assert ask(proposed, "GET", path).headers["etag"] == '"1"'


BAD = {
    "less than nothing": (edit(quantity=-12), 422, "/decisions/0/quantity"),
    "half an umbrella": (edit(quantity=1.5), 422, "/decisions/0/quantity"),
    "a huge quantity": (edit(quantity=12_000_000), 422, "/decisions/0/quantity"),
    "no whole pack": (edit(quantity=50), 422, "/quantity"),
    "no quantity": (approve() | {"action": "edit", "reason": "event"}, 422, "/quantity"),
    "no reason": (approve() | {"action": "reject"}, 422, "/reason"),
    "an unknown reason": (edit(reason=SECRET), 422, "/decisions/0/reason"),
    "a long note": (edit(note="x" * 301), 422, "/decisions/0/note"),
    "markup": (edit(note="<b>x</b>"), 422, "/decisions/0/note"),
    "an unknown action": (approve() | {"action": SECRET}, 422, "/decisions/0/action"),
    "an unknown order": (approve() | {"receipt_id": "c" * 20}, 404, None),
    "a correction of what is not released": (edit() | {"action": "correct"}, 409, None),
}


@pytest.mark.parametrize(("decision", "status", "pointer"), BAD.values(), ids=BAD)
def test_a_wrong_decision_is_a_problem_and_decides_nothing(proposed, decision, status, pointer):
    """Also where it is the only wrong one of several."""
    answer = decide(proposed, decision)

    assert answer.status_code == status
    check_problem(answer)
    assert pointer is None or answer.json()["errors"][0]["pointer"] == pointer
    assert decide(proposed, approve(1), decision).status_code == status
    assert proposed.state.ledger.order_decisions().empty


def test_the_fix_for_a_broken_pack_is_named(proposed):
    """Both whole quantities around it."""
    detail = decide(proposed, edit(quantity=50)).json()["errors"][0]["detail"]

    assert "packs of 12: order 48 or 60" in detail


def test_without_a_key_somebody_must_say_who_decides(proposed):
    """On loopback there is no key to name."""
    answer = decide(proposed, approve(), planner=None)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/planner")


def test_an_order_whose_forecast_was_replaced_is_refused(app):
    """The decision would rest on numbers that are no longer true."""
    app.state.ledger.record_orders(make_orders())
    later = pd.Timestamp(NOW) + pd.Timedelta(hours=1)
    app.state.ledger.record_orders(make_orders(receipt_id=["c" * 20, "d" * 20], made_at=later))

    answer = decide(app, approve())

    assert answer.status_code == 412
    assert "newer forecast" in answer.json()["detail"]


def test_approved_orders_are_released_once(proposed):
    """The same release again is the same; another one finds nothing left."""
    decide(proposed, approve())

    first, again = release(proposed), release(proposed)
    other = release(proposed, "monday-2")

    assert first.json() == again.json()
    assert [line["quantity"] for line in first.json()["orders"]] == [48]
    assert (other.status_code, other.json()["type"]) == (409, "/docs#order-refused")
    assert states(proposed) == [("released", 2, 48), ("proposed", 0, None)]


def test_a_released_order_cannot_be_edited_only_corrected(proposed):
    """The next release sends the difference to the supplier."""
    decide(proposed, approve())
    release(proposed)

    refused = decide(proposed, edit(revision=2))
    corrected = decide(proposed, edit(revision=2) | {"action": "correct"})
    line = release(proposed, "monday-2").json()["orders"][0]

    assert (refused.status_code, corrected.status_code) == (409, 200)
    assert "correction" in refused.json()["detail"]
    assert (line["quantity"], line["change"]) == (60, 12)


def test_a_release_is_a_csv_file_that_can_be_fetched_again(proposed):
    """With names, whole numbers and no formulas."""
    decide(proposed, approve(0), edit(1))
    release(proposed)

    answer = ask(proposed, "GET", "/v1/orders/releases/monday-1?format=csv")

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-disposition"] == 'attachment; filename="release-monday-1.csv"'
    assert [(row["item_name"], row["quantity"], row["spend"]) for row in rows] == [
        ("umbrella", "48", "240.0"),
        ("umbrella", "60", "300.0"),
    ]


def test_an_unknown_release_is_a_problem(proposed):
    """With the way to make one."""
    answer = ask(proposed, "GET", "/v1/orders/releases/never-made")

    assert answer.status_code == 404
    check_problem(answer)


@pytest.mark.parametrize("path", ["decisions", "releases", f"{RECEIPTS[0]}/decisions"])
def test_bodies_are_strict_json(proposed, path):
    """A repeated name is 400 here, too."""
    answer = ask(proposed, "POST", f"/v1/orders/{path}", content='{"a": 1, "a": 2}', headers=JSON)

    assert answer.status_code == 400
