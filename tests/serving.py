"""The API in a thread of the test, over a small snapshot and a ledger of its own."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import uvicorn
from fastapi import FastAPI

from api.main import create_app
from api.protocol import PatientProtocol
from salescast.settings import read_settings
from tests.conftest import ROOT
from tests.unit.api.test_api_planning import NOW, make_orders
from tests.unit.api.test_api_routes import Always
from tests.unit.api.test_api_snapshot import make_forecasts, make_snapshot


def make_app(root: Path, **serving: Any) -> FastAPI:
    """Return the application in the workspace `root`; its ledger has forecasts and orders."""
    settings = read_settings(ROOT / "config.toml")
    serving = {"serving": settings.serving.model_copy(update=serving)}
    app = create_app(settings.model_copy(update={"root": root} | serving))
    app.state.serving.refresh = lambda: None
    app.state.serving.current = Always(make_snapshot()).current
    made, _ = make_forecasts()
    app.state.ledger.record_forecasts(made.assign(made_at=pd.Timestamp(NOW)))
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
