"""The application: `uvicorn --factory api.main:create_app`."""

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from api import (
    alarm_routes,
    forecast_routes,
    model_routes,
    openapi,
    ops_routes,
    order_routes,
    outcome_routes,
    problems,
    report_routes,
    series_routes,
)
from api.access import access
from api.addresses import EncodedSlashes
from api.guard import CloseConnections, Guard, drain_before_exit
from api.order_book import OrderBooks
from api.prometheus import Metrics
from api.serving import REFRESH_SECONDS, Serving
from salescast.ledger.ledger import Ledger
from salescast.settings import Settings, read_settings

ROUTERS = (
    forecast_routes.router,
    series_routes.router,
    order_routes.router,
    order_routes.changes,
    outcome_routes.router,
    model_routes.router,
    alarm_routes.router,
    report_routes.router,
    ops_routes.router,
)
PAGE = Path(__file__).parent / "page"
_OWN_FILES = (  # a page loads its own files and calls its own service, nothing else
    "default-src 'none'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'; "
)
PAGES = {
    "index.html": _OWN_FILES + "style-src 'self'; img-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    # Swagger UI has its icons as data: addresses.
    "docs.html": _OWN_FILES + "style-src 'self'; img-src 'self' data:",
}


def create_app(
    settings: Settings | None = None, refresh_seconds: float = REFRESH_SECONDS
) -> FastAPI:
    """Return the application; `settings` default to those of the workspace.

    It answers at once and loads the champion in the background: until then it is live, but not
    ready. Raises ConfigError for a wrong configuration.
    """
    _log_to_stderr()
    settings = settings or read_settings()
    app = FastAPI(
        title=settings.product.name,
        summary=f"Demand forecasts and orders of {settings.product.retailer}.",
        description=openapi.DESCRIPTION,
        version="1",
        lifespan=partial(_lifespan, refresh_seconds),
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.serving = Serving(settings)
    app.state.draining = threading.Event()
    app.state.ledger = Ledger(settings.ledger_url)
    app.state.order_books = OrderBooks(app.state.ledger)
    app.state.access = access(settings.serving, settings.api_keys)
    app.state.metrics = Metrics()
    app.add_middleware(Guard, metrics=app.state.metrics, access=app.state.access)
    app.add_middleware(CloseConnections, draining=app.state.draining)
    app.add_middleware(EncodedSlashes)
    app.openapi = openapi.document(app)  # type: ignore[method-assign] # FastAPI's documented way
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    _add_pages(app)
    return app


@asynccontextmanager
async def _lifespan(refresh_seconds: float, app: FastAPI) -> AsyncIterator[None]:
    drain_before_exit(app.state.draining, app.state.settings.serving.drain_seconds)
    task = asyncio.create_task(app.state.serving.keep_fresh(refresh_seconds))
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    app.state.ledger.close()


def _page(file: str) -> FileResponse:
    return FileResponse(PAGE / file, headers={"Content-Security-Policy": PAGES[file]})


def _add_pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def show_planner_page() -> FileResponse:
        return _page("index.html")

    @app.get("/docs", include_in_schema=False)
    async def show_reference() -> FileResponse:
        return _page("docs.html")

    app.mount("/page", StaticFiles(directory=PAGE))
    app.mount("/swagger", StaticFiles(packages=[("fastapi_offline", "static")]))


def _log_to_stderr() -> None:
    log = logging.getLogger("salescast.api")
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
