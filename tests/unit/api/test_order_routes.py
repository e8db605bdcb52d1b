"""The proposed orders."""

import csv
import io

import pytest

from api.schemas import Orders
from tests.serving import ask, make_orders


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


def test_a_spreadsheet_runs_nothing_that_stands_in_an_id(app):
    """An id that begins like a formula is text."""
    app.state.ledger.record_orders(make_orders(item_id="=1+1"))

    assert "'=1+1" in ask(app, "GET", "/v1/orders?format=csv").text


@pytest.mark.parametrize(
    ("orders", "missed"),
    [(make_orders().iloc[:0], "orders_missing"), (make_orders(model_version="2"), "orders_old")],
    ids=["none", "of another model"],
)
def test_orders_say_when_they_are_not_of_what_serves(app, orders, missed):
    """No silent mixture of versions."""
    app.state.ledger.record_orders(orders)

    assert ask(app, "GET", "/v1/orders").json()["degraded"] == [missed]
