"""Open-Meteo, spoken by a small local server: the same JSON, the same ways to fail."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest

from salescast.contract.schema import TABLES, close_of, known_by
from salescast.data import open_meteo
from salescast.data.feeds import open_feed
from salescast.errors import DataQualityError, FeedUnavailableError
from salescast.settings import Feed, FilesFeed, OpenMeteoFeed
from tests.builders import make_items, make_sales, make_stores

SINCE, UNTIL = pd.Timestamp("2024-03-01"), pd.Timestamp("2024-03-11")
Answer = tuple[int, dict[str, str], bytes]


def rain_of(day: pd.Timestamp) -> float:
    """Return the observed rain of a day, as the fake knows it."""
    return float(day.day)


class FakeOpenMeteo:
    """Answers like the archive and the previous-runs API; tests change single answers."""

    def __init__(self) -> None:
        """Answer everything, with nothing edited."""
        self.questions: list[dict[str, str]] = []
        self.failures: list[Answer] = []
        self.edit: Callable[[dict], None] = lambda answer: None

    def answer(self, path: str) -> Answer:
        """Return status, headers and body for one request."""
        url = urlsplit(path)
        question = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.questions.append(question | {"path": url.path})
        if self.failures:
            return self.failures.pop(0)
        section = "hourly" if "hourly" in question else "daily"
        times = self._times(question, section)
        names = question[section].split(",")
        values = {name: [self._value(name, time) for time in times] for name in names}
        stamp = "%Y-%m-%dT%H:%M" if section == "hourly" else "%Y-%m-%d"
        answer = {"utc_offset_seconds": 0, section: {"time": [*times.strftime(stamp)], **values}}
        self.edit(answer)
        return 200, {}, json.dumps(answer).encode()

    def _times(self, question: dict[str, str], section: str) -> pd.DatetimeIndex:
        start, end = question["start_date"], question["end_date"]
        if section == "daily":
            return pd.date_range(start, end)
        return pd.date_range(start, pd.Timestamp(end) + pd.Timedelta(hours=23), freq="h")

    def _value(self, name: str, time: pd.Timestamp) -> float:
        variable, _, lead = name.partition("_previous_day")
        if variable == "precipitation":
            return rain_of(time) / 24 + int(lead) / 24  # a day's rain plus its lead, spread out
        return rain_of(time) if variable == "precipitation_sum" else 10.0 + time.hour


@pytest.fixture
def fake() -> Iterator[FakeOpenMeteo]:
    """Run the fake on a free port of this machine; its address is `fake.url`."""
    service = FakeOpenMeteo()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = service.answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield service
    server.shutdown()
    thread.join()
    server.server_close()


def service(fake: FakeOpenMeteo, **changes: object) -> open_meteo.Service:
    """Return an impatient client of the fake."""
    defaults = {
        "timeout_seconds": 5.0,
        "requests_per_minute": 1_000_000,
        "attempts": 3,
        "first_wait": 0.01,
        "longest_wait": 0.05,
    }
    urls = (f"{fake.url}/v1/archive", f"{fake.url}/v1/forecast")
    return open_meteo.Service(*urls, **(defaults | changes))


def fetch(fake: FakeOpenMeteo, stores: int = 1, **changes: object) -> dict[str, pd.DataFrame]:
    """Fetch the ten days' weather of `stores` places."""
    return open_meteo.fetch(service(fake, **changes), make_stores(stores), SINCE, UNTIL)


def test_observed_weather_is_the_archives(fake):
    """Rain, temperature and place as the archive says, known at noon two days later."""
    observed = fetch(fake)["weather_observed"]

    assert observed["precip_mm"].tolist() == [rain_of(day) for day in observed["date"]]
    assert observed["temp_c"].tolist() == [10.0] * len(observed)
    assert set(observed["recorded_at"] - observed["date"]) == {pd.Timedelta("2 days 12:00:00")}


def test_the_window_says_which_days_are_delivered(fake):
    """What became known in [since, until): the archive's days end two days before the window."""
    observed = fetch(fake)["weather_observed"]

    assert observed["date"].min() == pd.Timestamp("2024-02-28")
    assert observed["date"].max() == pd.Timestamp("2024-03-08")


def test_each_issue_speaks_of_the_next_seven_days(fake):
    """Leads 1…7, one issue a day, late in the evening."""
    issued = fetch(fake)["weather_forecast"]

    leads = (issued["date"] - issued["issued_at"].dt.normalize()).dt.days
    by_issue = leads.groupby(issued["issued_at"]).apply(sorted)
    assert [*by_issue.index] == [*pd.date_range(SINCE, "2024-03-10") + open_meteo.ISSUE_HOUR]
    assert all(lead == [1, 2, 3, 4, 5, 6, 7] for lead in by_issue)


def test_hours_add_up_to_days_lead_by_lead(fake):
    """Rain is the sum and temperature the mean of 24 hours, of that lead's variable alone."""
    issued = fetch(fake)["weather_forecast"]

    lead = (issued["date"] - issued["issued_at"].dt.normalize()).dt.days
    expected = [rain_of(day) + n for day, n in zip(issued["date"], lead, strict=True)]
    assert np.allclose(issued["precip_mm"], expected)
    assert np.allclose(issued["temp_c"], 21.5)


def test_an_issue_is_known_at_the_close_of_its_day_and_not_before(fake):
    """Nothing that speaks of tomorrow is known before today's close."""
    issued = fetch(fake)["weather_forecast"]
    origin = pd.Timestamp("2024-03-05")

    known = known_by("weather_forecast", issued, origin)

    assert (known["issued_at"] < close_of(origin)).all()
    assert known["issued_at"].max().normalize() == origin


def test_never_asks_for_what_nobody_could_have_known(fake):
    """No day-0 values, no probabilities, no other service, UTC days only."""
    fetch(fake)

    asked = [question.get("hourly", question.get("daily")) for question in fake.questions]
    assert all("previous_day0" not in names and "probability" not in names for names in asked)
    assert {question["path"] for question in fake.questions} == {"/v1/archive", "/v1/forecast"}
    assert {question["timezone"] for question in fake.questions} == {"Europe/London"}


def test_the_chance_of_rain_rises_with_the_amount_and_is_never_certain():
    """A rule between 0.05 and 0.95; recalibration learns the rest."""
    chance = open_meteo.rain_probability(pd.Series([0.0, 0.1, 1.0, 5.0, 50.0]))

    assert chance.is_monotonic_increasing
    assert chance.between(0.0499, 0.9501).all()


def test_stores_in_one_place_share_its_weather(fake):
    """One question per place, not per store."""
    stores = make_stores(3, location_id="p1")

    delivered = open_meteo.fetch(service(fake), stores, SINCE, UNTIL)

    assert set(delivered["weather_observed"]["location_id"]) == {"p1"}
    assert len(fake.questions) == 2


def test_years_are_asked_for_in_pieces(fake):
    """Two and a half years are three questions that neither overlap nor leave a gap."""
    begin = pd.Timestamp("2021-06-15")

    delivered = open_meteo.fetch(service(fake), make_stores(1), begin, pd.Timestamp("2023-12-30"))

    observed = delivered["weather_observed"]
    asked = [question for question in fake.questions if question["path"] == "/v1/archive"]
    assert len(asked) == 3
    assert observed["date"].is_unique
    assert len(observed) == (pd.Timestamp("2023-12-28") - pd.Timestamp("2021-06-13")).days


def test_before_2024_there_are_no_issues_to_ask_for(fake):
    """The archive of runs begins in 2024; earlier windows deliver none and do not ask."""
    begin = pd.Timestamp("2023-05-01")

    delivered = open_meteo.fetch(service(fake), make_stores(1), begin, pd.Timestamp("2023-06-01"))

    assert delivered["weather_forecast"].empty
    assert {question["path"] for question in fake.questions} == {"/v1/archive"}


def test_a_day_with_an_hour_missing_is_no_forecast(fake):
    """23 hours of rain are not a day's rain: that lead and day are left out."""

    def lose_an_hour(answer):
        if "hourly" in answer:
            answer["hourly"]["precipitation_previous_day2"][30] = None

    fake.edit = lose_an_hour

    issued = fetch(fake)["weather_forecast"]

    lead = (issued["date"] - issued["issued_at"].dt.normalize()).dt.days
    assert len(issued) == 69
    assert (lead == 2).sum() == 9


def test_leads_a_model_does_not_reach_are_left_out(fake):
    """Local models end after a few days; their later leads are null."""

    def end_after_five_days(answer):
        for name, values in answer.get("hourly", {}).items():
            if name.endswith(("day6", "day7")):
                values[:] = [None] * len(values)

    fake.edit = end_after_five_days

    issued = fetch(fake)["weather_forecast"]

    assert (issued["date"] - issued["issued_at"].dt.normalize()).dt.days.max() == 5


def test_a_young_hole_is_waited_for(fake):
    """A place without yesterday's value holds the day back everywhere, to be asked for again."""

    def lose_the_last_day(answer):
        if "daily" in answer and len(fake.questions) == 1:
            answer["daily"]["precipitation_sum"][-1] = None

    fake.edit = lose_the_last_day

    observed = fetch(fake, stores=2)["weather_observed"]

    assert (
        observed.groupby("location_id")["date"].max().tolist() == [pd.Timestamp("2024-03-07")] * 2
    )


def test_an_old_hole_is_given_up(fake):
    """A value that never came does not stop the days after it."""

    def lose_the_first_day(answer):
        if "daily" in answer and len(fake.questions) == 1:
            answer["daily"]["temperature_2m_mean"][1] = None

    fake.edit = lose_the_first_day

    observed = fetch(fake, stores=2)["weather_observed"]

    assert observed.groupby("location_id").size().tolist() == [9, 10]


@pytest.mark.parametrize(
    "failure",
    [
        (429, {"Retry-After": "0"}, b'{"error": true, "reason": "Minutely limit exceeded"}'),
        (429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"{}"),
        (500, {}, b"oops"),
        (503, {}, b""),
        (200, {}, b"<html>welcome to the hotel's wifi</html>"),
        (200, {}, b"[]"),
        (200, {}, b'{"daily": {"time": ["2024-02-28"]}}'),
        (200, {}, b'{"daily": {"time": ["2024-02-28"], "precipitation_sum": ["wet"]}}'),
    ],
)
def test_a_passing_failure_is_tried_again(fake, failure):
    """Too many requests, a broken server, a page that is no answer: asked again, answered."""
    fake.failures = [failure, failure]

    delivered = fetch(fake)

    assert len(delivered["weather_observed"]) == 10
    assert len(fake.questions) == 4


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ((500, {}, b"oops"), r"/v1/archive answers 500: oops; try again later"),
        ((429, {}, b"slow down"), r"/v1/archive answers 429: slow down"),
        ((200, {}, b"{nonsense"), r"/v1/archive: JSONDecodeError"),
        ((200, {}, b"{}"), r"/v1/archive: ValueError: the answer lacks 'daily'"),
    ],
)
def test_a_lasting_failure_is_an_error_worth_a_later_retry(fake, failure, message):
    """After the last attempt the feed says who does not answer, and how."""
    fake.failures = [failure] * 3

    with pytest.raises(FeedUnavailableError, match=message):
        fetch(fake)

    assert len(fake.questions) == 3


def test_a_server_that_wants_a_long_pause_is_not_pressed(fake):
    """A Retry-After beyond our patience ends the attempt at once."""
    fake.failures = [(429, {"Retry-After": "3600"}, b"daily limit")] * 3

    with pytest.raises(FeedUnavailableError, match="429: daily limit"):
        fetch(fake)

    assert len(fake.questions) == 1


def test_a_refusal_for_good_is_not_repeated(fake):
    """Impossible coordinates stay impossible."""
    fake.failures = [(400, {}, b'{"error": true, "reason": "Latitude must be in range"}')]

    with pytest.raises(DataQualityError, match=r"refuses with 400.*Latitude must be in range"):
        fetch(fake)

    assert len(fake.questions) == 1


def test_a_service_that_is_not_there_is_an_error_without_its_key(fake):
    """Nobody listens; the paid service's key stays out of the message."""
    nowhere = open_meteo.Service(
        "http://127.0.0.1:9/v1/archive?apikey=hush",
        f"{fake.url}/v1/forecast",
        attempts=2,
        first_wait=0.01,
    )

    with pytest.raises(FeedUnavailableError, match="ConnectError") as caught:
        open_meteo.fetch(nowhere, make_stores(1), SINCE, UNTIL)

    assert "hush" not in str(caught.value)


def test_a_key_in_the_url_is_sent(fake):
    """`archive_url` may carry what a paid service asks for."""
    paid = service(fake).__class__(f"{fake.url}/v1/archive?apikey=k", f"{fake.url}/v1/forecast")

    open_meteo.fetch(paid, make_stores(1), SINCE, UNTIL)

    assert fake.questions[0]["apikey"] == "k"


def test_requests_keep_their_distance(fake):
    """600 a minute: the second question waits a tenth of a second. More is a slow machine."""
    begin = time.monotonic()

    fetch(fake, requests_per_minute=600)

    assert time.monotonic() - begin >= 0.1


def test_own_sales_and_its_weather_make_one_delivery(fake, tmp_path):
    """`feed.weather = "open_meteo"`: weather where the stores are, a fortnight before they sold."""
    sales = make_sales(20)
    for table, rows in {"stores": make_stores(), "items": make_items(), "sales": sales}.items():
        rows.to_csv(tmp_path / f"{table}.csv", index=False)
    section = Feed(
        kind="files",
        weather="open_meteo",
        files=FilesFeed(folder=tmp_path),
        open_meteo=OpenMeteoFeed(
            archive_url=f"{fake.url}/v1/archive",
            previous_runs_url=f"{fake.url}/v1/forecast",
            requests_per_minute=1_000_000,
        ),
    )

    delivered = open_feed(section, tmp_path)(None, pd.Timestamp("2023-01-20"))

    observed = delivered["weather_observed"]
    assert set(delivered) == {"stores", "items", "sales", "weather_observed", "weather_forecast"}
    assert set(observed["location_id"]) == {"p1", "p2"}
    assert observed["recorded_at"].min() == sales["date"].min() - pd.Timedelta("13 days 12:00:00")
    assert [*observed.columns] == [*TABLES["weather_observed"].names]


def test_the_day_of_the_weather_is_the_day_of_the_place(fake):
    """Los Angeles is asked for in its own time, and its issues are dated by its own evenings."""
    stores = make_stores(1, latitude=34.05, longitude=-118.24, timezone="America/Los_Angeles")

    tables = open_meteo.fetch(service(fake), stores, SINCE, UNTIL)

    issued = tables["weather_forecast"]
    assert {question["timezone"] for question in fake.questions} == {"America/Los_Angeles"}
    assert set(issued["issued_at"].dt.strftime("%H:%M")) <= {"07:00", "06:00"}
    assert "2024-03-10" in set(issued["date"].dt.strftime("%Y-%m-%d"))  # of 23 hours


def test_an_unknown_time_zone_is_asked_for_in_gmt(fake):
    """The check of the stores names it; the weather comes all the same."""
    open_meteo.fetch(service(fake), make_stores(1, timezone="Mars/Phobos"), SINCE, UNTIL)
    assert {question["timezone"] for question in fake.questions} == {"GMT"}


def test_a_store_without_coordinates_is_named(fake):
    """Nobody can say what the weather is there."""
    with pytest.raises(DataQualityError, match="p1: Open-Meteo needs latitude and longitude"):
        open_meteo.fetch(service(fake), make_stores(1, latitude=np.nan), SINCE, UNTIL)
