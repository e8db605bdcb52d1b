"""Alarms reach whoever is to be told, over a socket."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from salescast.errors import ConfigError
from salescast.monitoring.alarms import alarm
from salescast.stages.notification import notify

ALARMS = [alarm("demand_shift", "in london", {}), alarm("new_series", "london-04", {})]


@pytest.fixture
def hook():
    """Return the address of a webhook and the bodies it was sent."""
    bodies: list[dict[str, str]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{server.server_port}/", bodies
    server.shutdown()
    server.server_close()


def test_one_message_names_every_alarm_and_its_page(hook):
    """Severity first, and where to read what to do."""
    url, bodies = hook
    assert notify([url], ALARMS, "umbrella sales")
    (body,) = bodies
    assert body["title"] == "umbrella sales: 1 pages, 1 tickets"
    assert "page: demand_shift, in london: see docs/runbook/demand_shift.md" in body["message"]


def test_without_alarms_nobody_is_disturbed(hook):
    """A calm day sends nothing."""
    url, bodies = hook
    assert notify([url], [], "umbrella sales")
    assert bodies == []


def test_who_does_not_answer_is_told_as_such():
    """Nothing listens there: the alarm stands in the ledger all the same."""
    assert not notify(["json://127.0.0.1:9/"], ALARMS, "umbrella sales")


def test_a_wrong_address_is_named_by_its_place_not_its_secret():
    """A password in the log would be worse than no message."""
    with pytest.raises(ConfigError, match="entry 1") as error:
        notify(["nothing-like-that:secret"], ALARMS, "umbrella sales")
    assert "secret" not in str(error.value)
