"""Whatever is sent, the answer is a forecast or a problem."""

import json
import re

import pytest

from api.forecast_schemas import ForecastRequest, Forecasts, SeriesList
from api.guard import MAX_BODY_BYTES
from api.main import create_app
from api.problems import MAX_ERRORS
from api.schemas import ModelInfo
from salescast.errors import NoChampionError, SalescastError
from salescast.settings import read_settings
from tests.conftest import ROOT
from tests.serving import ASK, JSON, SECRET, Always, ask, check_problem, small_snapshot


@pytest.fixture(scope="module")
def app():
    """Return the application over a small snapshot."""
    app = create_app(read_settings(ROOT / "config.toml"))
    app.state.serving = Always(small_snapshot())
    return app


def failing(failure):
    """Return an application that cannot serve."""
    app = create_app(read_settings(ROOT / "config.toml"))
    app.state.serving = Always(failure=failure)
    return app


def post(app, content):
    """Return the answer to a body sent as JSON."""
    return ask(app, "POST", "/v1/forecasts", content=content, headers=JSON)


def series(count, **changes):
    """Return a request body of `count` series."""
    return json.dumps({"series": [ASK["series"][0] | changes] * count})


def test_one_series_is_answered_in_the_same_words_by_get_and_post(app):
    """Two ways to ask, one answer."""
    one = ask(app, "POST", "/v1/forecasts", json=ASK)
    assert one.status_code == 200
    assert ask(app, "GET", "/v1/forecasts/s1/u1").content == one.content


def test_horizon_and_quantiles_can_be_asked_for_in_the_address(app):
    """As they can in a body."""
    asked = ASK | {"horizon": 2, "quantiles": [0.5]}
    answer = ask(app, "GET", "/v1/forecasts/s1/u1?horizon=2&quantiles=0.5")
    assert answer.content == ask(app, "POST", "/v1/forecasts", json=asked).content


@pytest.mark.parametrize(
    ("path", "model"),
    [("/v1/model", ModelInfo), ("/v1/series", SeriesList), ("/v1/forecasts/s1/u1", Forecasts)],
)
def test_each_answer_says_what_it_rests_on(app, path, model):
    """Model version, data version, origin, weather issue and what was missing."""
    answer = model.model_validate_json(ask(app, "GET", path).content, extra="forbid")
    assert (answer.model_version, answer.data_version, answer.origin) == (
        "3",
        "a.dir",
        "2023-07-20",
    )
    assert (answer.weather_issued_at, answer.degraded) == ("2023-07-20", [])


def test_series_come_page_by_page(app):
    """The second page begins where the first ends."""
    found = ask(app, "GET", "/v1/series?limit=1&offset=1&store_id=s2").json()
    assert (found["total"], [one["item_id"] for one in found["series"]]) == (2, ["u2"])


def test_an_integer_may_be_written_with_a_point(app):
    """JSON has one kind of number."""
    asked = json.dumps(ASK | {"horizon": 2.0})
    assert len(post(app, asked).json()["forecasts"][0]["days"]) == 2


def test_a_thousand_series_are_answered_at_once(app):
    """The largest request, trimmed, so that each is taken apart."""
    body = json.dumps({"series": ASK["series"] * 1000, "horizon": 1})
    assert len(post(app, body).json()["forecasts"]) == 1000


BODIES = {
    "nothing": ("", 422),
    "no JSON": (f"{{{SECRET}", 400),
    "cut off": ('{"series": [', 400),
    "no UTF-8": (b'{"series": "\xff\xfe"}', 400),
    "NaN": ('{"series": [], "horizon": NaN}', 400),
    "Infinity": ('{"series": [], "quantiles": [Infinity]}', 400),
    "repeated name": ('{"series": [], "series": []}', 400),
    "deep": ("[" * 200_000, 400),
    "deep and closed": ("[" * 100_000 + "]" * 100_000, 400),
    "huge integer": ('{"horizon": ' + "9" * 5000 + "}", 400),
    "huge float": (json.dumps(ASK)[:-1] + ', "quantiles": [1e999]}', 422),
    "list": ("[]", 422),
    "null": ("null", 422),
    "no series": ('{"series": []}', 422),
    "too many series": (series(1001), 422),
    "long id": (series(1, store_id=SECRET * 10), 422),
    "empty id": (series(1, store_id=""), 422),
    "number as id": (series(1, store_id=1), 422),
    "unknown field": (json.dumps(ASK | {SECRET: 1}), 422),
    "horizon 0": (json.dumps(ASK | {"horizon": 0}), 422),
    "horizon 15": (json.dumps(ASK | {"horizon": 15}), 422),
    "horizon as text": (json.dumps(ASK | {"horizon": "7"}), 422),
    "half a day": (json.dumps(ASK | {"horizon": 7.5}), 422),
    "quantile 1": (json.dumps(ASK | {"quantiles": [1]}), 422),
    "quantile not offered": (json.dumps(ASK | {"quantiles": [0.5, 0.123]}), 422),
    "no quantiles": (json.dumps(ASK | {"quantiles": []}), 422),
    "unknown series": (series(1, store_id=SECRET), 404),
    "surrogate": ('{"series": [{"store_id": "\\ud800", "item_id": "u1"}]}', 422),
    "other case": (series(1, item_id="U1"), 404),
    "too large": (b" " * (MAX_BODY_BYTES + 1), 413),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES)
def test_a_wrong_body_is_a_small_problem_that_repeats_nothing(app, body, status):
    """Never a 500, never an echo."""
    answer = post(app, body)
    assert answer.status_code == status
    check_problem(answer)


REQUESTS = {
    "unknown address": ("GET", f"/{SECRET}", {}, 404),
    "unknown address below": ("GET", f"/v1/{SECRET}", {}, 404),
    "traversal": ("GET", "/v1/forecasts/..%2f..%2fetc/passwd", {}, 404),
    "unknown series": ("GET", f"/v1/forecasts/{SECRET}/u1", {}, 404),
    "wrong method": ("DELETE", "/v1/model", {}, 405),
    "get of a post": ("GET", "/v1/forecasts", {}, 405),
    "no content type": ("POST", "/v1/forecasts", {"content": json.dumps(ASK)}, 415),
    "a form": ("POST", "/v1/forecasts", {"data": {SECRET: "1"}}, 415),
    "compressed": (
        "POST",
        "/v1/forecasts",
        {"content": json.dumps(ASK), "headers": JSON | {"Content-Encoding": "gzip"}},
        415,
    ),
    "unknown parameter": ("GET", f"/v1/forecasts/s1/u1?{SECRET}=1", {}, 422),
    "horizon as word": ("GET", f"/v1/forecasts/s1/u1?horizon={SECRET}", {}, 422),
    "quantile NaN": ("GET", "/v1/forecasts/s1/u1?quantiles=nan", {}, 422),
    "limit 0": ("GET", "/v1/series?limit=0", {}, 422),
    "huge offset": ("GET", "/v1/series?offset=" + "9" * 30, {}, 422),
    "long id": ("GET", f"/v1/forecasts/{SECRET * 10}/u1", {}, 422),
}


@pytest.mark.parametrize(("method", "path", "options", "status"), REQUESTS.values(), ids=REQUESTS)
def test_a_wrong_request_is_a_small_problem_that_repeats_nothing(
    app, method, path, options, status
):
    """Whatever is wrong with it."""
    answer = ask(app, method, path, **options)
    assert answer.status_code == status
    check_problem(answer)


def test_a_body_that_never_ends_is_cut_off(app):
    """One that does not say how long it is, is counted as it comes."""

    async def chunks():
        for _ in range(100):
            yield b" " * 65536

    answer = ask(app, "POST", "/v1/forecasts", content=chunks(), headers=JSON)
    assert answer.status_code == 413
    check_problem(answer)


def test_the_largest_valid_request_fits_the_limit(app):
    """The two limits agree: a thousand of the longest ids is refused for no size."""
    longest = series(1000, store_id="s" * 100, item_id="u" * 100)
    ForecastRequest.model_validate_json(longest)
    assert post(app, longest).status_code == 404


def test_unknown_series_are_named_by_their_place(app):
    """So that a caller finds them, and nothing is repeated."""
    known, unknown = ASK["series"][0], {"store_id": SECRET, "item_id": "u1"}
    asked = json.dumps({"series": [known, unknown, known, unknown]})
    assert "number 2, 4 of 4" in post(app, asked).json()["detail"]


def test_a_wrong_value_is_named_by_its_pointer(app):
    """The caller finds it in what was sent."""
    body = json.dumps({"series": [ASK["series"][0], {"store_id": "s1", "item_id": 7}]})
    assert post(app, body).json()["errors"][0]["pointer"] == "/series/1/item_id"


def test_a_thousand_mistakes_are_reported_as_ten(app):
    """The answer to much nonsense is short."""
    assert len(post(app, series(1000, item_id=7)).json()["errors"]) == MAX_ERRORS


@pytest.mark.parametrize(
    "path", ["/healthz/ready", "/v1/model", "/v1/series", "/v1/forecasts/s1/u1"]
)
def test_without_a_champion_the_answer_is_503_and_when_to_come_back(path):
    """The service lives, but is not ready."""
    answer = ask(failing(NoChampionError("none")), "GET", path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    check_problem(answer)


def test_the_service_lives_without_a_champion():
    """A process that waits for its first model must not be killed for it."""
    assert ask(failing(NoChampionError("none")), "GET", "/healthz/live").json() == {"status": "ok"}


@pytest.mark.parametrize("failure", [RuntimeError(SECRET), SalescastError(SECRET)], ids=repr)
def test_what_nobody_foresaw_is_a_problem_too(failure):
    """500 with nothing of the inside in it, and the headers of every answer."""
    answer = ask(failing(failure), "GET", "/v1/model")
    assert (answer.status_code, answer.headers["x-content-type-options"]) == (500, "nosniff")
    check_problem(answer)


@pytest.mark.parametrize("path", ["/v1/model", "/nothing", "/docs", "/healthz/live"])
def test_each_answer_has_safe_headers_and_an_id(app, path):
    """Also those that are errors or pages."""
    headers = ask(app, "GET", path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert len(headers["x-request-id"]) == 32


@pytest.mark.parametrize(("sent", "kept"), [("abc-1", True), ("a b", False), ("x" * 65, False)])
def test_a_request_id_is_kept_where_it_is_harmless(app, sent, kept):
    """A caller can find its request in the log; it cannot write into the log."""
    answer = ask(app, "GET", "/healthz/live", headers={"X-Request-ID": sent})
    assert (answer.headers["x-request-id"] == sent) == kept


def test_the_front_door_is_the_planners_page(app):
    """It may load its own files and nothing else; no script can be smuggled in as text."""
    answer = ask(app, "GET", "/")

    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "trusted-types 'none'"} <= {*policy}
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/page/", "/page/nothing.js", "/page/..%2fmain.py"])
def test_beside_the_page_there_is_nothing(app, path):
    """No listing, no other file: a problem, as everywhere."""
    answer = ask(app, "GET", path)

    assert answer.status_code == 404
    check_problem(answer)


def test_the_page_names_only_files_that_are_there(app):
    """Each address in it is answered, those of the scripts' imports too."""
    text = ask(app, "GET", "/").text
    names = {*re.findall(r'(?:src|href)="(page/[^"]+)"', text)}
    scripts = [ask(app, "GET", f"/{name}").text for name in names if name.endswith(".js")]
    names |= {f"page/{found}" for one in scripts for found in re.findall(r'from "\./(.+?)"', one)}

    assert {ask(app, "GET", f"/{name}").status_code for name in names} == {200}
    assert len(names) >= 8
