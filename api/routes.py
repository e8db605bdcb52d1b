"""What can be asked. Routes translate; the answers are in the snapshot."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError

from api import schemas
from api.deps import Current, StrictRoute, json_only
from api.openapi import problems
from api.snapshot import Key, Snapshot, answer, is_whole
from salescast.errors import UnknownSeriesError

MANY = 20  # series whose JSON is taken apart elsewhere than on the event loop
MAX_NAMED = 10

v1 = APIRouter(prefix="/v1", route_class=StrictRoute)
health = APIRouter(prefix="/healthz", tags=["health"])


@v1.post(
    "/forecasts",
    response_model=schemas.Forecasts,
    responses=problems(400, 404, 413, 415, 422, 500, 503),
    dependencies=[Depends(json_only)],
    tags=["forecasts"],
)
async def forecast_series(asked: schemas.ForecastRequest, snapshot: Current) -> Response:
    """Forecast one or many series from the last origin.

    The numbers are those of the batch forecast, bit for bit. Each series carries a receipt.
    """
    keys = [(one.store_id, one.item_id) for one in asked.series]
    return await _forecasts(snapshot, keys, asked, "body")


@v1.get(
    "/forecasts/{store_id}/{item_id}",
    response_model=schemas.Forecasts,
    responses=problems(404, 422, 500, 503),
    tags=["forecasts"],
)
async def forecast_one(
    store_id: Annotated[schemas.Id, Path(examples=[schemas.STORE])],
    item_id: Annotated[schemas.Id, Path(examples=[schemas.ITEM])],
    asked: Annotated[schemas.ForecastQuery, Query()],
    snapshot: Current,
) -> Response:
    """Forecast one series; the same answer as from POST /v1/forecasts."""
    return await _forecasts(snapshot, [(store_id, item_id)], asked, "query")


@v1.get(
    "/model",
    response_model=schemas.ModelInfo,
    responses=problems(500, 503),
    tags=["model"],
)
async def describe_model(snapshot: Current) -> dict[str, Any]:
    """Describe the champion: version, lineage, and what it can be asked."""
    return {**snapshot.provenance, **snapshot.model}


@v1.get(
    "/series",
    response_model=schemas.SeriesList,
    responses=problems(422, 500, 503),
    tags=["forecasts"],
)
async def list_series(
    asked: Annotated[schemas.SeriesQuery, Query()], snapshot: Current
) -> dict[str, Any]:
    """List the series that have a forecast, page by page. A store nobody knows has none."""
    found = [one for one in snapshot.series if asked.store_id in (None, one["store_id"])]
    page = found[asked.offset : asked.offset + asked.limit]
    return {**snapshot.provenance, "total": len(found), "series": page}


@health.get("/live", responses=problems(500))
async def live() -> schemas.Health:
    """Say that the process answers, whatever it can answer."""
    return schemas.Health()


@health.get("/ready", responses=problems(500, 503))
async def ready(_: Current) -> schemas.Health:
    """Say that forecasts are there to be served."""
    return schemas.Health()


async def _forecasts(
    snapshot: Snapshot,
    keys: Sequence[Key],
    asked: schemas.ForecastRequest | schemas.ForecastQuery,
    where: str,
) -> Response:
    _check_known(snapshot, keys)
    _check_offered(snapshot, asked, where)
    horizon = asked.horizon or snapshot.horizon
    quantiles = asked.quantiles or list(snapshot.levels)
    if len(keys) <= MANY or is_whole(snapshot, horizon, quantiles):
        body = answer(snapshot, keys, horizon, quantiles)
    else:
        body = await run_in_threadpool(answer, snapshot, keys, horizon, quantiles)
    return Response(body, media_type="application/json")


def _check_known(snapshot: Snapshot, keys: Sequence[Key]) -> None:
    """Raise UnknownSeriesError that names series by their place: what was sent is not repeated."""
    unknown = [str(i) for i, key in enumerate(keys, 1) if key not in snapshot.forecasts]
    if unknown:
        rest = len(unknown) - MAX_NAMED
        named = ", ".join(unknown[:MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")
        raise UnknownSeriesError(
            f"unknown: number {named} of {len(keys)} asked for; GET /v1/series lists those there "
            "are"
        )


def _check_offered(
    snapshot: Snapshot, asked: schemas.ForecastRequest | schemas.ForecastQuery, where: str
) -> None:
    """Raise RequestValidationError where the champion was not made for what is asked."""
    wrong: list[dict[str, Any]] = []
    if (asked.horizon or 1) > snapshot.horizon:
        message = f"this model forecasts {snapshot.horizon} days"
        wrong.append({"loc": (where, "horizon"), "msg": message, "type": "horizon"})
    offered = ", ".join(str(level) for level in snapshot.levels)
    for place, level in enumerate(asked.quantiles or ()):
        if level not in snapshot.levels:
            message = f"this model offers the levels {offered}"
            found = {"loc": (where, "quantiles", place), "msg": message, "type": "quantile"}
            wrong.append(found)
    if wrong:
        raise RequestValidationError(wrong)
