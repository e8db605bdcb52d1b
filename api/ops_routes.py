"""Probes and metrics for the operators of the service."""

from fastapi import APIRouter, Request, Response

from api.dependencies import ReadySnapshot
from api.openapi import problems
from api.prometheus import CONTENT_TYPE
from api.schemas import Health, Readiness
from salescast.errors import SalescastError

router = APIRouter(tags=["health"])


@router.get("/healthz/live")
async def live() -> Health:
    """Return 200 while the process answers, even if it has no forecasts."""
    return Health()


@router.get("/healthz/ready", responses=problems(503))
async def ready(snapshot: ReadySnapshot) -> Readiness:
    """Return 200 while forecasts can be served and the process is not about to end."""
    return Readiness(degraded=list(snapshot.degraded))


@router.get("/metrics", include_in_schema=False)
async def show_metrics(request: Request) -> Response:
    """Return the metrics of this process as Prometheus reads them."""
    try:
        snapshot = request.app.state.serving.current()
    except SalescastError:
        snapshot = None
    return Response(request.app.state.metrics.render(snapshot), media_type=CONTENT_TYPE)
