"""What-ifs and receipts."""

import pandas as pd
import pytest

from api.forecast_schemas import MAX_WHAT_IF, Forecasts, Receipt
from tests.serving import ASK, NOW, SECRET, ask, check_problem, make_forecasts


def imagine(app, **what_if):
    """Return the days of one series with something imagined."""
    answer = ask(app, "POST", "/v1/forecasts", json=ASK | {"what_if": what_if})
    return Forecasts.model_validate_json(answer.content, extra="forbid")


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
    asked = {"series": ASK["series"] * (MAX_WHAT_IF + 1), "what_if": {"rain_factor": 1.5}}

    assert ask(app, "POST", "/v1/forecasts", json=asked).status_code == 422


def test_a_receipt_shows_the_forecast_as_it_was_served(app):
    """Numbers, versions and origin of then."""
    made, _ = make_forecasts()
    app.state.ledger.record_forecasts(made.assign(made_at=pd.Timestamp(NOW)))

    answer = ask(app, "GET", f"/v1/receipts/{made['receipt_id'].iloc[0]}")

    found = Receipt.model_validate_json(answer.content, strict=True, extra="forbid")
    assert [day.mean for day in found.days] == made["mean"].iloc[:14].tolist()
    assert (found.model_version, found.origin) == ("3", "2023-07-20")


@pytest.mark.parametrize(("receipt", "status"), [("0" * 20, 404), (SECRET, 422)])
def test_a_receipt_that_is_none_is_a_problem(app, receipt, status):
    """Unknown, or no receipt at all."""
    answer = ask(app, "GET", f"/v1/receipts/{receipt}")

    assert answer.status_code == status
    check_problem(answer)
