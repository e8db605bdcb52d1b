"""The client over real sockets: against the API, and against servers that have a bad day."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from salescast.client import AsyncClient, Client, Decision, Outcome, ProblemError, WhatIf
from salescast.client.endpoints import MAX_WAIT, retry_after
from tests.serving import make_app, served


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Return the address of the API in a thread, over a small snapshot and a real ledger."""
    with served(make_app(tmp_path_factory.mktemp("client"))) as url:
        yield url


def test_every_call_returns_what_the_service_said(url):
    """Typed, with what it rests on."""
    with Client(url) as client:
        one = client.forecast("s1", "u1")
        many = client.forecasts([("s2", "u2"), ("s1", "u1")], horizon=2, quantiles=[0.5])
        history = client.history("s1", "u1", days=3)
        orders = client.orders("s1")
        receipt = client.receipt(one.receipt_id)
        recorded = client.record([Outcome("s1", "u1", "2023-07-21", 5)])

    assert [day.lead_time for day in one.days] == list(range(1, 15))
    assert many.forecasts[1].days[0].quantiles == {"p50": one.days[0].quantiles["p50"]}
    assert (many.model_version, many.degraded, many.what_if) == ("3", (), False)
    assert len(history.days) == 3
    assert [order.order for order in orders.orders] == [48]
    assert [day.mean for day in receipt.days] == [day.mean for day in one.days]
    assert (recorded.recorded, recorded.unchanged) == (1, 0)


def test_orders_are_decided_and_released(tmp_path):
    """Read, approve, release; the same release again is the same."""
    with served(make_app(tmp_path)) as url, Client(url) as client:
        order = client.orders("s1").orders[0]
        decided = client.decide([Decision(order.receipt_id, order.revision)], planner="Ann")
        released = client.release("monday-1", planner="Ann")
        again = client.release("monday-1", planner="Ann")

    assert (decided.decisions[0].status, decided.decisions[0].quantity) == ("approved", 48)
    assert (released.orders[0].quantity, again) == (48, released)


def test_a_what_if_comes_back_marked(url):
    """And without a receipt."""
    with Client(url) as client:
        found = client.forecasts([("s1", "u1")], what_if=WhatIf(rain_mm={"2023-07-21": 9.0}))

    assert (found.what_if, found.forecasts[0].receipt_id) == (True, None)


def test_the_async_client_says_the_same(url):
    """Call by call."""

    async def go():
        async with AsyncClient(url) as client:
            one = await client.forecast("s1", "u1")
            return one, (
                await client.model(),
                await client.orders(),
                await client.history("s1", "u1"),
                await client.receipt(one.receipt_id),
            )

    one, rest = asyncio.run(go())
    with Client(url) as client:
        same = (client.model(), client.orders(), client.history("s1", "u1"))
        assert (one, rest[:3]) == (client.forecast("s1", "u1"), same)
        assert rest[3] == client.receipt(one.receipt_id)


def test_without_series_all_are_forecast(url):
    """The names come with the answer."""
    with Client(url) as client:
        everything = client.forecasts(horizon=1)

    assert [(one.store_id, one.item_id) for one in everything.forecasts] == KEYS


def test_a_problem_is_an_error_with_its_words(url):
    """Status, title, detail and the id to ask for."""
    with Client(url) as client, pytest.raises(ProblemError, match="404 Unknown series") as caught:
        client.forecast("nowhere", "u1")

    assert caught.value.problem["type"] == "/docs#unknown-series"
    assert caught.value.request_id


KEYS = [("s1", "u1"), ("s1", "u2"), ("s2", "u1"), ("s2", "u2")]
RECORDED = {
    "model_version": "3",
    "data_version": "a.dir",
    "origin": "2023-07-20",
    "weather_issued_at": None,
    "degraded": [],
    "recorded": 1,
    "unchanged": 0,
}
OUTCOME = Outcome("s1", "u1", "2023-07-21", 5)


@contextmanager
def moody(*answers):
    """Serve the answers in turn: (status, headers), or None to hang up; count the requests."""
    left, seen = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(self.rfile.read(int(self.headers["Content-Length"])))
            answer = left.pop(0)
            if answer is None:
                self.close_connection = True
                return
            status, headers = answer
            body = json.dumps(RECORDED).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
        server.shutdown()


BUSY, FINE = (429, {"Retry-After": "7"}), (200, {})


def test_retries_wait_as_long_as_the_service_asks():
    """Seven seconds, then a doubling pause; the request stays the same."""
    slept = []
    with (
        moody(BUSY, (503, {}), None, FINE) as (url, seen),
        Client(url, sleep=slept.append) as client,
    ):
        assert client.record([OUTCOME]).recorded == 1

    assert slept == [7.0, 0.4, 0.8]
    assert len(set(seen)) == 1


def test_the_async_client_retries_too():
    """By the same rule."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    async def go(url):
        async with AsyncClient(url, sleep=sleep) as client:
            return await client.record([OUTCOME])

    with moody(BUSY, None, FINE) as (url, _):
        assert asyncio.run(go(url)).recorded == 1
    assert slept == [7.0, 0.4]


@pytest.mark.parametrize(
    ("answers", "tries"),
    [([BUSY] * 3, 3), ([(429, {"Retry-After": str(int(MAX_WAIT) + 1)})], 1), ([(422, {})], 1)],
    ids=["no more tries", "too long a wait", "will not help"],
)
def test_what_retrying_does_not_mend_is_said(answers, tries):
    """The last answer is the error."""
    with (
        moody(*answers) as (url, seen),
        Client(url, retries=2, sleep=lambda _: None) as client,
        pytest.raises(ProblemError) as caught,
    ):
        client.record([OUTCOME])

    assert (caught.value.status, len(seen)) == (answers[-1][0], tries)


def test_a_service_that_is_not_there_is_a_connection_error():
    """After all tries."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with (
        Client(f"http://127.0.0.1:{port}", sleep=lambda _: None) as client,
        pytest.raises(httpx.ConnectError),
    ):
        client.model()


def test_retry_after_may_be_a_date():
    """As HTTP has it; one that is past is no wait, and nonsense is a second."""
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert retry_after("soon") == 1.0


def test_importing_the_client_imports_nothing_of_the_product():
    """A notebook elsewhere needs httpx alone."""
    code = "import sys, salescast.client; print(*(n for n in sys.modules), sep='\\n')"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True)
    own_modules = {n for n in loaded.split() if n.startswith("salescast")}

    assert not {"pandas", "numpy", "pydantic"} & set(loaded.split())
    assert {n.split(".")[1] for n in own_modules if "." in n} == {"client"}
