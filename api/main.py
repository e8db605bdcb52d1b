"""The application: `uvicorn --factory api.main:create_app`."""

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles

from api import batches, planning, problems, recording, reference
from api.access import access
from api.batches import Batches
from api.draining import Farewell, drain_before_exit
from api.guard import Guard
from api.openapi import document
from api.prometheus import CONTENT_TYPE, Metrics
from api.routes import health, lean, v1
from api.serving import REFRESH_SECONDS, Serving
from salescast.errors import SalescastError
from salescast.ledger.ledger import Ledger
from salescast.settings import Settings, read_settings

PAGE = Path(__file__).parent / "page"
PAGE_HEADERS = {  # the planner's page loads its own files and asks its own service, nothing else
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}


def create_app(
    settings: Settings | None = None, refresh_seconds: float = REFRESH_SECONDS
) -> FastAPI:
    """Return the application; `settings` default to those of the workspace.

    It answers at once and loads the champion beside: until then it is live, but not ready.
    Raises ConfigError for a wrong configuration.
    """
    _log_to_stderr()
    settings = settings or read_settings()
    app = FastAPI(
        title=settings.product.name,
        summary=f"Demand forecasts of {settings.product.retailer}, as units per store, item, day.",
        version="1",
        lifespan=partial(_lifespan, refresh_seconds),
        docs_url=None,
        redoc_url=None,
    )
    _equip(app, settings)
    app.openapi = document(app)  # type: ignore[method-assign] # FastAPI's documented way
    problems.install(app)
    for routes in (lean, v1, planning.v1, recording.v1, batches.v1, health):
        app.include_router(routes)
    _add_pages(app, f"http://{settings.serving.host}:{settings.serving.port}")
    return app


def _equip(app: FastAPI, settings: Settings) -> None:
    """Give the application what its routes ask for, and its middleware; nothing is read yet."""
    app.state.settings = settings
    app.state.serving = Serving(settings)
    app.state.draining = threading.Event()
    app.state.batches = Batches(settings.build / "batches")
    app.state.ledger = Ledger(settings.ledger_url)
    app.state.access = access(settings.serving, settings.api_keys)
    metrics = Metrics()
    app.add_middleware(Guard, metrics=metrics, access=app.state.access)
    app.add_middleware(Farewell, draining=app.state.draining)
    _add_metrics(app, metrics)


@asynccontextmanager
async def _lifespan(refresh_seconds: float, app: FastAPI) -> AsyncIterator[None]:
    drain_before_exit(app.state.draining, app.state.settings.serving.drain_seconds)
    task = asyncio.create_task(app.state.serving.keep_fresh(refresh_seconds))
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    app.state.ledger.close()


def _add_metrics(app: FastAPI, metrics: Metrics) -> None:
    @app.get("/metrics", include_in_schema=False)
    async def show() -> Response:
        try:
            snapshot = app.state.serving.current()
        except SalescastError:
            snapshot = None
        return Response(metrics.render(snapshot), media_type=CONTENT_TYPE)


def _add_pages(app: FastAPI, address: str) -> None:
    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(reference.render(app.openapi(), address), headers=reference.HEADERS)

    @app.get("/", include_in_schema=False)
    async def home() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers=PAGE_HEADERS)

    app.mount("/page", StaticFiles(directory=PAGE))


def _log_to_stderr() -> None:
    log = logging.getLogger("salescast.api")
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
