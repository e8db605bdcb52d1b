"""Orders, the past, receipts, outcomes, batches, numbers: asked for in process, kept in files."""

import asyncio
import csv
import io
import json
from datetime import UTC, datetime, timedelta

import httpx
import pandas as pd
import pytest

from api import records, schemas
from api.batches import KEPT_SECONDS, LOST_SECONDS
from api.main import create_app
from salescast.settings import read_settings
from tests.conftest import ROOT
from tests.unit.api.test_api_routes import ASK, JSON, SECRET, Always, ask, check_problem
from tests.unit.api.test_api_snapshot import ORIGIN, make_forecasts, make_snapshot

SNAPSHOT = make_snapshot()
RECEIPT = "8f0a3be2c9d14e5f6a7b"
NOW = datetime.now(UTC).replace(tzinfo=None)


@pytest.fixture
def app(tmp_path):
    """Return the application over a small snapshot and a ledger of its own."""
    settings = read_settings(ROOT / "config.toml").model_copy(update={"root": tmp_path})
    app = create_app(settings)
    app.state.serving = Always(SNAPSHOT)
    return app


def imagine(app, **what_if):
    """Return the days of one series with something imagined."""
    answer = ask(app, "POST", "/v1/forecasts", json=ASK | {"what_if": what_if})
    return schemas.Forecasts.model_validate_json(answer.content, extra="forbid")


def test_to_imagine_nothing_answers_the_forecast_itself(app):
    """Bit for bit, but marked and without a receipt."""
    plain = ask(app, "POST", "/v1/forecasts", json=ASK).json()
    imagined = ask(app, "POST", "/v1/forecasts", json=ASK | {"what_if": {}}).json()

    assert (imagined["what_if"], imagined["forecasts"][0]["receipt_id"]) == (True, None)
    assert imagined["forecasts"][0]["days"] == plain["forecasts"][0]["days"]


def test_what_is_imagined_is_recorded_nowhere(app):
    """Neither the ledger nor a receipt knows of it."""
    imagine(app, rain_factor=2.0)

    assert app.state.ledger.forecasts().empty


def test_imagined_series_keep_the_order_asked_for(app):
    """Also where one is asked for twice."""
    keys = [{"store_id": s, "item_id": i} for s, i in (("s2", "u2"), ("s1", "u1"), ("s2", "u2"))]
    asked = {"series": keys, "horizon": 1, "quantiles": [0.5], "what_if": {"rain_factor": 3}}

    found = ask(app, "POST", "/v1/forecasts", json=asked).json()["forecasts"]

    assert [{"store_id": f["store_id"], "item_id": f["item_id"]} for f in found] == keys
    assert found[0] == found[2]


IMPOSSIBLE = {
    "a day that is past": {"rain_mm": {"2023-07-20": 1.0}},
    "a day too far": {"price": {"2023-08-04": 1.0}},
    "no day": {"rain_mm": {"2023-02-31": 1.0}},
    "a made-up name": {"rain_mm": {SECRET: 1.0}},
    "less than no rain": {"rain_factor": -1.0},
    "no price": {"price": {"2023-07-21": 0.0}},
    "an unknown field": {SECRET: 1.0},
}


@pytest.mark.parametrize("what_if", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_cannot_be_imagined_is_refused(app, what_if):
    """With a pointer to it, and without repeating it."""
    answer = ask(app, "POST", "/v1/forecasts", json=ASK | {"what_if": what_if})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith("/what_if")
    check_problem(answer)


def test_a_what_if_is_for_so_many_series_only(app):
    """Their numbers are made, not looked up."""
    asked = {"series": ASK["series"] * (schemas.MAX_IMAGINED + 1), "what_if": {"rain_factor": 1.5}}

    assert ask(app, "POST", "/v1/forecasts", json=asked).status_code == 422


def make_orders(**changes):
    """Return proposed orders of two series, as the stage `order` records them."""
    rows = pd.DataFrame([records.Order.model_config["json_schema_extra"]["examples"][0]] * 2)
    rows = rows.assign(store_id=["s1", "s2"], item_id="u1", receipt_id=["a", "b"])
    counted = pd.Timestamp(ORIGIN).as_unit("us")
    about = {"model_version": "3", "data_version": "a.dir", "origin": counted, "counted": counted}
    return rows.assign(made_at=pd.Timestamp(NOW), **about | changes)


def test_orders_come_as_json_with_what_they_rest_on(app):
    """Both stores' orders, in dollars and units, nothing degraded."""
    app.state.ledger.record_orders(make_orders())

    answer = ask(app, "GET", "/v1/orders")

    found = records.Orders.model_validate_json(answer.content, strict=True, extra="forbid")
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


def test_the_past_has_sales_stock_outs_and_weather(app):
    """The last two days, oldest first."""
    answer = ask(app, "GET", "/v1/history/s1/u1?days=2")

    found = records.History.model_validate_json(answer.content, strict=True, extra="forbid")
    assert [day.date for day in found.days] == ["2023-07-19", "2023-07-20"]
    assert None not in (found.days[0].sold_out, found.days[0].precip_mm)


def test_beside_the_past_stands_what_the_forecast_goes_by(app):
    """A fortnight of rain, as issued and as usual, and the planned price."""
    found = records.History.model_validate_json(ask(app, "GET", "/v1/history/s1/u1").content)

    first = found.ahead[0]
    assert (len(found.ahead), first.date, first.price) == (14, "2023-07-21", 10.0)
    assert None not in (first.rain_probability, first.rain_mm, first.usual_probability)


def test_the_past_of_an_unknown_series_is_a_problem(app):
    """As everywhere."""
    answer = ask(app, "GET", f"/v1/history/{SECRET}/u1")

    assert answer.status_code == 404
    check_problem(answer)


def test_the_scorecard_holds_the_backtest_and_what_came_true(app, tmp_path):
    """Of the champion, and of the last `salescast monitor`."""
    (tmp_path / "build").mkdir(exist_ok=True)
    (tmp_path / "build" / "monitoring.json").write_text('{"live": {"matured": 1.0}}')

    found = records.Scorecard.model_validate_json(ask(app, "GET", "/v1/scorecard").content)

    assert (found.backtest, found.live) == ({"models": {}}, {"matured": 1.0})


def test_a_receipt_shows_the_forecast_as_it_was_served(app):
    """Numbers, versions and origin of then."""
    made, _ = make_forecasts()
    app.state.ledger.record_forecasts(made.assign(made_at=pd.Timestamp(NOW)))

    answer = ask(app, "GET", f"/v1/receipts/{made['receipt_id'].iloc[0]}")

    found = records.Receipt.model_validate_json(answer.content, strict=True, extra="forbid")
    assert [day.mean for day in found.days] == made["mean"].iloc[:14].tolist()
    assert (found.model_version, found.origin) == ("3", "2023-07-20")


@pytest.mark.parametrize(("receipt", "status"), [("0" * 20, 404), (SECRET, 422)])
def test_a_receipt_that_is_none_is_a_problem(app, receipt, status):
    """Unknown, or no receipt at all."""
    answer = ask(app, "GET", f"/v1/receipts/{receipt}")

    assert answer.status_code == status
    check_problem(answer)


def outcome(**changes):
    """Return a request with one outcome."""
    return {"outcomes": [ASK["series"][0] | {"date": "2023-07-21", "units": 5} | changes]}


def send(app, body):
    """Return how many outcomes were recorded and how many were known already."""
    answer = ask(app, "POST", "/v1/outcomes", json=body)
    assert answer.status_code == 200, answer.text
    found = records.Recorded.model_validate_json(answer.content, extra="forbid")
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


def finish(app, body, **headers):
    """Start a batch and return its last state, all in one event loop."""

    async def go():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            begun = await client.post("/v1/batches", json=body, headers=headers)
            assert begun.status_code == 202, begun.text
            for _ in range(500):
                last = await client.get(begun.headers["location"])
                if last.json()["status"] in ("done", "failed"):
                    return last
                await asyncio.sleep(0.01)
            raise AssertionError("the batch does not end")

    return asyncio.run(go())


BATCH = {"requests": [ASK, ASK | {"what_if": {"rain_factor": 0.0}, "horizon": 1}]}


def test_a_batch_answers_as_its_requests_would_be_answered(app):
    """In their order."""
    found = finish(app, BATCH)

    assert found.json()["status"] == "done"
    for asked, answer in zip(BATCH["requests"], found.json()["answers"], strict=True):
        assert ask(app, "POST", "/v1/forecasts", json=asked).json() == answer
    records.Batch.model_validate_json(found.content, strict=True, extra="forbid")


def test_the_same_key_starts_no_second_batch(app):
    """Whoever is not sure that a request arrived sends it again."""
    key = {"Idempotency-Key": "nightly-1"}
    first = finish(app, BATCH, **key).json()

    assert ask(app, "POST", "/v1/batches", json=BATCH, headers=key).json()["status"] == "done"
    assert finish(app, BATCH, **key).json()["batch_id"] == first["batch_id"]


def test_a_key_stands_for_one_request(app):
    """Other content under it is a mistake."""
    key = {"Idempotency-Key": "nightly-1"}
    finish(app, BATCH, **key)

    answer = ask(app, "POST", "/v1/batches", json={"requests": [ASK]}, headers=key)

    assert answer.status_code == 409
    check_problem(answer)


def test_a_batch_with_a_wrong_request_is_not_begun(app):
    """The pointer leads to it."""
    body = {"requests": [ASK, ASK | {"quantiles": [0.123]}]}

    answer = ask(app, "POST", "/v1/batches", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/requests/1/quantiles/0"


def test_too_many_batches_are_to_come_back_later(app):
    """The queue is bounded."""
    app.state.batches._waiting.update(range(100))

    answer = ask(app, "POST", "/v1/batches", json=BATCH)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    check_problem(answer)


def age(path, seconds):
    """Make a file so much older."""
    import os

    moment = path.stat().st_mtime - seconds
    os.utime(path, (moment, moment))


def test_a_batch_whose_process_ended_has_failed_and_can_be_sent_anew(app, tmp_path):
    """The key begins it again."""
    key = {"Idempotency-Key": "nightly-1"}
    found = finish(app, BATCH, **key).json()
    app.state.batches.write(found["batch_id"], "running", None, b"null")
    age(tmp_path / "build" / "batches" / f"{found['batch_id']}.json", LOST_SECONDS + 1)

    lost = ask(app, "GET", f"/v1/batches/{found['batch_id']}").json()

    assert lost["status"] == "failed"
    assert finish(app, BATCH, **key).json()["status"] == "done"


def test_batches_are_kept_for_a_day(app, tmp_path):
    """Then the next one clears them away."""
    found = finish(app, BATCH).json()
    for path in (tmp_path / "build" / "batches").iterdir():
        age(path, KEPT_SECONDS + 1)

    finish(app, BATCH)

    assert ask(app, "GET", f"/v1/batches/{found['batch_id']}").status_code == 404


def test_numbers_for_prometheus_are_few_whatever_is_asked(app):
    """A route is counted by its pattern, what has none under one name."""
    for path in (f"/{SECRET}", f"/v1/forecasts/{SECRET}/u1", "/v1/forecasts/s1/u1"):
        ask(app, "GET", path)
    ask(app, SECRET, "/v1/model")

    text = ask(app, "GET", "/metrics").text

    assert SECRET not in text
    assert 'route="/v1/forecasts/{store_id}/{item_id}",status="200"} 1.0' in text
    assert "salescast_ready 1.0" in text
    assert "salescast_model_version 3.0" in text


def test_json_bodies_of_all_posts_are_strict(app):
    """A repeated name is 400 everywhere."""
    for path in ("/v1/outcomes", "/v1/batches"):
        answer = ask(app, "POST", path, content='{"a": 1, "a": 2}', headers=JSON)
        assert answer.status_code == 400
        assert json.loads(answer.content)["status"] == 400
