"""Planners decide at once, and processes are killed: nothing is lost, nothing released twice.

`make soak-orders` does a thousand edits and fifty kills.
"""

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from salescast.client import Client, Decision, ProblemError
from salescast.ledger.ledger import Ledger
from tests.conftest import ROOT
from tests.serving import RECEIPTS, make_app, make_orders, served

EDITS, KILLS = map(int, os.environ.get("SOAK_ORDERS", "40,2").split(","))
CLIENTS = 8
TOO_LATE = 412
RELEASE = """
import sys
from pathlib import Path
from tests.serving import ask, make_app
app = make_app(Path(sys.argv[1]), orders=False)
print("ready", flush=True)
sys.stdin.readline()
body = {"release_id": sys.argv[2], "planner": "Ann"}
ask(app, "POST", "/v1/orders/releases", json=body)
"""


def test_of_planners_who_decide_at_once_each_learns_whether_it_counted(tmp_path):
    """As many revisions as successes, numbered without a gap, and a 412 for everybody else."""
    app = make_app(tmp_path)
    with served(app) as url, ThreadPoolExecutor(CLIENTS) as pool:
        results = list(pool.map(lambda n: _edit(url, n), range(EDITS)))

    decisions = app.state.ledger.order_decisions()
    written = {(row.receipt_id, row.revision): row.note for row in decisions.itertuples()}
    reported = {key: note for key, note in results if key != TOO_LATE}
    assert written == reported
    assert len(written) + sum(key == TOO_LATE for key, _ in results) == EDITS
    for receipt, rows in decisions.groupby("receipt_id"):
        assert rows["revision"].tolist() == list(range(1, len(rows) + 1)), receipt


def _edit(url, number):
    """Edit one of two orders once; return its key and note, or the status of the refusal."""
    note = f"edit {number}"
    with Client(url, timeout=60) as client:
        order = client.orders().orders[number % 2]
        about = order.receipt_id, order.revision, "edit", number, "event", note
        try:
            decided = client.decide([Decision(*about)], planner=f"p{number % CLIENTS}")
        except ProblemError as error:
            return error.status, note
    return (decided.decisions[0].receipt_id, decided.decisions[0].revision), note


def test_a_process_that_is_killed_releases_everything_or_nothing(tmp_path):
    """Sending the release again completes it: exactly one for each order."""
    for attempt in range(KILLS):
        folder = tmp_path / str(attempt)
        app = make_app(folder)
        with served(app) as url, Client(url) as client:
            client.decide([Decision(receipt, 0) for receipt in RECEIPTS], planner="Ann")
        _release_and_kill(folder, f"release-{attempt}")
        with served(app) as url, Client(url) as client:
            release = client.release(f"release-{attempt}", planner="Ann")

        with Ledger(app.state.settings.ledger_url) as ledger:
            decisions = ledger.order_decisions()
        assert len(release.orders) == len(make_orders())
        assert (decisions["action"] == "release").sum() == len(make_orders())


def _release_and_kill(folder, release_id):
    command = [sys.executable, "-c", RELEASE, str(folder), release_id]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        time.sleep(random.uniform(0.0, 0.25))
        process.send_signal(signal.SIGKILL)
