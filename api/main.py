"""The application: `uvicorn --factory api.main:create_app`."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, RedirectResponse

from api import problems, reference
from api.guard import Guard
from api.openapi import document
from api.routes import health, v1
from api.serving import REFRESH_SECONDS, Serving
from salescast.settings import Settings, read_settings


def create_app(
    settings: Settings | None = None, refresh_seconds: float = REFRESH_SECONDS
) -> FastAPI:
    """Return the application; `settings` default to those of the workspace.

    It answers at once and loads the champion beside: until then it is live, but not ready.
    Raises ConfigError for a wrong configuration.
    """
    _log_to_stderr()
    settings = settings or read_settings()
    serving = Serving(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(serving.keep_fresh(refresh_seconds))
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app = FastAPI(
        title=settings.product.name,
        summary=f"Demand forecasts of {settings.product.retailer}, as units per store, item, day.",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.serving = serving
    app.openapi = document(app)  # type: ignore[method-assign] # FastAPI's documented way
    problems.install(app)
    app.add_middleware(Guard)
    app.include_router(v1)
    app.include_router(health)
    _add_pages(app, f"http://{settings.serving.host}:{settings.serving.port}")
    return app


def _add_pages(app: FastAPI, address: str) -> None:
    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(reference.render(app.openapi(), address), headers=reference.HEADERS)

    @app.get("/", include_in_schema=False)
    async def home() -> RedirectResponse:
        return RedirectResponse("/docs")


def _log_to_stderr() -> None:
    log = logging.getLogger("salescast.api")
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
