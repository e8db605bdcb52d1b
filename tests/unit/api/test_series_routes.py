"""The past of a series."""

from api.forecast_schemas import History
from tests.serving import SECRET, ask, check_problem


def test_the_past_has_sales_stock_outs_and_weather(app):
    """The last two days, oldest first."""
    answer = ask(app, "GET", "/v1/history/s1/u1?days=2")

    found = History.model_validate_json(answer.content, strict=True, extra="forbid")
    assert [day.date for day in found.days] == ["2023-07-19", "2023-07-20"]
    assert None not in (found.days[0].sold_out, found.days[0].precip_mm)


def test_beside_the_past_stands_what_the_forecast_goes_by(app):
    """A fortnight of rain, as issued and as usual, and the planned price."""
    found = History.model_validate_json(ask(app, "GET", "/v1/history/s1/u1").content)

    first = found.ahead[0]
    assert (len(found.ahead), first.date, first.price) == (14, "2023-07-21", 10.0)
    assert None not in (first.rain_probability, first.rain_mm, first.usual_probability)


def test_the_past_of_an_unknown_series_is_a_problem(app):
    """As everywhere."""
    answer = ask(app, "GET", f"/v1/history/{SECRET}/u1")

    assert answer.status_code == 404
    check_problem(answer)
