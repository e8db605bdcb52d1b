"""The API over a small snapshot: called in this process, or served over a socket."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import uvicorn
from fastapi import FastAPI

from api.guard import PatientProtocol
from api.main import create_app
from api.model_inputs import model_inputs
from api.problems import MEDIA_TYPE
from api.schemas import Problem
from api.snapshot import Snapshot, make_snapshot
from salescast.features.point_in_time import build, past
from salescast.models import make
from salescast.models.forecaster import Forecaster
from salescast.release.issuing import issue
from salescast.settings import read_settings
from tests.builders import FIRST, make_tables
from tests.conftest import ROOT

ASK = {"series": [{"store_id": "s1", "item_id": "u1"}]}
JSON = {"Content-Type": "application/json"}
SECRET = "xyzzy-what-was-sent"
NOW = datetime.now(UTC).replace(tzinfo=None)
ORIGIN = FIRST + pd.Timedelta(days=199)
LEVELS = [0.1, 0.5, 0.9]
CONTRACT = {"horizon": 14, "quantiles": LEVELS, "weather": "issued"}
CONTRACT |= {"critical": {"u1": 0.8, "u2": 0.8}}
ABOUT = {"name": "umbrella-sales", "run_id": "r", "trained_until": "2023-07-20"}
ABOUT |= {"trained_on": None, "git_commit": None, "quality_verdict": None}
ORDER = {
    "order": 48,
    "planner_order": 60,
    "on_hand": 12,
    "on_order": 0,
    "unit_cost": 5.0,
    "spend": 240.0,
    "expected_demand": 41.5,
    "expected_lost": 1.25,
    "expected_cost": 31.5,
    "planner_cost": 44.25,
    "fill_rate": 0.97,
    "due": True,
}


RECEIPTS = ["a" * 20, "b" * 20]


@dataclass
class Always:
    """A service with one snapshot, or with one failure."""

    snapshot: object = None
    failure: Exception | None = None

    def current(self) -> Any:
        """Return the snapshot or raise the failure."""
        if self.failure:
            raise self.failure
        return self.snapshot


def model_and_rows(tables: dict[str, pd.DataFrame]) -> tuple[Forecaster, pd.DataFrame]:
    """Return a simple model and the feature rows of one origin."""
    rows = build(tables, pd.date_range(ORIGIN - pd.Timedelta(days=40), ORIGIN, freq="8D"))
    model = make("weekday_mean", {}, 1).fit(rows, past(tables, ORIGIN))
    return model, rows[rows["origin"] == ORIGIN]


def make_forecasts(**changed: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Return the forecasts of a simple model on small tables, and the tables."""
    tables = make_tables() | changed
    model, rows = model_and_rows(tables)
    return issue(model, rows, LEVELS, CONTRACT["critical"], ("3", "a.dir")), tables


def snapshot_of(issued: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> Snapshot:
    """Return the snapshot of forecasts on these tables."""
    inputs = model_inputs(*model_and_rows(tables), tables, CONTRACT, {"models": {}})
    return make_snapshot(issued, tables, inputs, ABOUT)


def small_snapshot(**changed: pd.DataFrame) -> Snapshot:
    """Return the snapshot of a simple model on small tables: 4 series."""
    return snapshot_of(*make_forecasts(**changed))


def make_orders(**changes: Any) -> pd.DataFrame:
    """Return proposed orders of two series, as the stage `order` records them."""
    rows = pd.DataFrame([ORDER] * 2)
    rows = rows.assign(store_id=["s1", "s2"], item_id="u1", receipt_id=RECEIPTS)
    counted = pd.Timestamp(ORIGIN).as_unit("us")
    about = {"model_version": "3", "data_version": "a.dir", "origin": counted, "counted": counted}
    return rows.assign(**{"made_at": pd.Timestamp(NOW)} | about | changes)


def ask(app: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:
    """Return the answer to one request, in this process."""

    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **options)

    return asyncio.run(go())


def check_problem(answer: httpx.Response) -> None:
    """Assert that an answer is a small problem that repeats nothing of the request."""
    problem = Problem.model_validate_json(answer.content, extra="forbid")
    assert (answer.headers["content-type"], problem.status) == (MEDIA_TYPE, answer.status_code)
    assert SECRET not in answer.text
    assert len(answer.content) < 4000


def make_app(root: Path, *, orders: bool = True, **serving: Any) -> FastAPI:
    """Return the application in the workspace `root`; its ledger has forecasts and `orders`."""
    settings = read_settings(ROOT / "config.toml")
    serving = {"serving": settings.serving.model_copy(update=serving)}
    app = create_app(settings.model_copy(update={"root": root} | serving))
    app.state.serving.refresh = lambda: None
    app.state.serving.current = Always(small_snapshot()).current
    made, _ = make_forecasts()
    app.state.ledger.record_forecasts(made.assign(made_at=pd.Timestamp(NOW)))
    if orders:
        app.state.ledger.record_orders(make_orders())
    return app


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve over a real socket, as `salescast serve` does, and yield the address."""
    config = uvicorn.Config(app, http=PatientProtocol, log_level="error", server_header=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()
