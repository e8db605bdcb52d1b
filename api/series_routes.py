"""The series that have a forecast, and the past of each."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.concurrency import run_in_threadpool

from api.addresses import PathItemId, PathStoreId
from api.dependencies import CurrentSnapshot, StrictRoute, require_known
from api.forecast_schemas import History, HistoryQuery, SeriesList, SeriesQuery
from api.openapi import problems
from api.snapshot import history_body

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["series"], responses=problems(503))


@router.get("/series", response_model=SeriesList)
async def list_series(
    query: Annotated[SeriesQuery, Query()], snapshot: CurrentSnapshot
) -> dict[str, Any]:
    """List the series that have a forecast, page by page. An unknown store has none."""
    series = [one for one in snapshot.series if query.store_id in (None, one["store_id"])]
    page = series[query.offset : query.offset + query.limit]
    return {**snapshot.provenance, "total": len(series), "series": page}


@router.get("/history/{store_id}/{item_id}", response_model=History, responses=problems(404))
async def show_history(
    store_id: Annotated[PathStoreId, Path()],
    item_id: Annotated[PathItemId, Path()],
    query: Annotated[HistoryQuery, Query()],
    snapshot: CurrentSnapshot,
) -> Response:
    """Return the last days of one series: units sold, price and weather.

    `ahead` has the days forecast with the weather and the plan that the forecast uses.
    """
    require_known(snapshot, [(store_id, item_id)])
    body = await run_in_threadpool(history_body, snapshot, (store_id, item_id), query.days)
    return Response(body, media_type="application/json")
