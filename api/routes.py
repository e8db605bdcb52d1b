"""What can be asked. Routes translate; the answers are in the snapshot."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from api import schemas
from api.answers import what_if
from api.deps import Current, Ready, StrictRequest, StrictRoute, current, json_only
from api.detail import Key
from api.openapi import problems
from api.problems import MAX_ERRORS
from api.snapshot import Snapshot, answer, is_whole
from salescast.errors import UnknownSeriesError
from salescast.features.whatif import WhatIf

MANY = 20  # series whose JSON is taken apart elsewhere than on the event loop
MAX_NAMED = 10

v1 = APIRouter(prefix="/v1", route_class=StrictRoute)
health = APIRouter(prefix="/healthz", tags=["health"])


_LINK = {
    "receipt": {
        "operationId": "show_receipt_v1_receipts__receipt_id__get",
        "parameters": {"receipt_id": "$response.body#/forecasts/0/receipt_id"},
        "description": "The same as it was served.",
    }
}


class _LeanRoute(StrictRoute):
    """POST /v1/forecasts without FastAPI's solving of dependencies: a third of its time."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what does by hand what the signature of `forecast_series` says."""

        async def answer_lean(request: Request) -> Response:
            await json_only(request)
            strict = StrictRequest(request.scope, request.receive)
            body = await strict.json() if await strict.body() else None
            try:
                asked = schemas.ForecastRequest.model_validate(body)
            except ValidationError as error:
                found = error.errors(include_url=False, include_input=False, include_context=False)
                wrong = [one | {"loc": ("body", *one["loc"])} for one in found[:MAX_ERRORS]]
                raise RequestValidationError(wrong) from None
            return await forecast_series(asked, await current(request))

        return answer_lean


lean = APIRouter(prefix="/v1", route_class=_LeanRoute)


@lean.post(
    "/forecasts",
    response_model=schemas.Forecasts,
    responses=problems(400, 404, 413, 415, 422, 500, 503),
    tags=["forecasts"],
)
async def forecast_series(asked: schemas.ForecastRequest, snapshot: Current) -> Response:
    """Forecast one or many series from the last origin.

    The numbers are those of the batch forecast, bit for bit. Each series carries a receipt.
    With `what_if` they are what the model would say of other weather or prices: marked, without
    receipts, recorded nowhere.
    """
    return Response(await forecasts(snapshot, asked), media_type="application/json")


@v1.get(
    "/forecasts/{store_id}/{item_id}",
    response_model=schemas.Forecasts,
    responses={200: {"links": _LINK}, **problems(404, 422, 500, 503)},
    tags=["forecasts"],
)
async def forecast_one(
    store_id: Annotated[schemas.Id, Path(examples=[schemas.STORE])],
    item_id: Annotated[schemas.Id, Path(examples=[schemas.ITEM])],
    asked: Annotated[schemas.ForecastQuery, Query()],
    snapshot: Current,
) -> Response:
    """Forecast one series; the same answer as from POST /v1/forecasts."""
    key = store_id, item_id
    check_known(snapshot, [key])
    _check_offered(snapshot, asked, ("query",))
    body = await _forecasts(snapshot, [key], asked)
    return Response(body, media_type="application/json")


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
async def ready(snapshot: Ready) -> schemas.Readiness:
    """Say that forecasts are there to be served, and will be for the next requests."""
    return schemas.Readiness(degraded=list(snapshot.without))


async def forecasts(snapshot: Snapshot, asked: schemas.ForecastRequest) -> bytes:
    """Return the answer to a request as JSON; raise what is wrong with it."""
    what = check(snapshot, asked, ("body",))
    keys = [(one.store_id, one.item_id) for one in asked.series]
    if what is None:
        return await _forecasts(snapshot, keys, asked)
    rest = asked.horizon or snapshot.horizon, asked.quantiles or list(snapshot.levels)
    return await run_in_threadpool(what_if, snapshot, keys, what, *rest)


def check(
    snapshot: Snapshot, asked: schemas.ForecastRequest, where: Sequence[str | int]
) -> WhatIf | None:
    """Return what is to be imagined; raise what is wrong with a request."""
    check_known(snapshot, [(one.store_id, one.item_id) for one in asked.series])
    _check_offered(snapshot, asked, where)
    if asked.what_if is None:
        return None
    return _imagined(snapshot, asked.what_if, len(asked.series), where)


async def _forecasts(
    snapshot: Snapshot,
    keys: Sequence[Key],
    asked: schemas.ForecastRequest | schemas.ForecastQuery,
) -> bytes:
    horizon = asked.horizon or snapshot.horizon
    quantiles = asked.quantiles or list(snapshot.levels)
    if len(keys) <= MANY or is_whole(snapshot, horizon, quantiles):
        return answer(snapshot, keys, horizon, quantiles)
    return await run_in_threadpool(answer, snapshot, keys, horizon, quantiles)


def check_known(snapshot: Snapshot, keys: Sequence[Key]) -> None:
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
    snapshot: Snapshot,
    asked: schemas.ForecastRequest | schemas.ForecastQuery,
    where: Sequence[str | int],
) -> None:
    """Raise RequestValidationError where the champion was not made for what is asked."""
    wrong: list[dict[str, Any]] = []
    if (asked.horizon or 1) > snapshot.horizon:
        message = f"this model forecasts {snapshot.horizon} days"
        wrong.append({"loc": (*where, "horizon"), "msg": message, "type": "horizon"})
    offered = ", ".join(str(level) for level in snapshot.levels)
    for place, level in enumerate(asked.quantiles or ()):
        if level not in snapshot.levels:
            message = f"this model offers the levels {offered}"
            found = {"loc": (*where, "quantiles", place), "msg": message, "type": "quantile"}
            wrong.append(found)
    _refuse(wrong)


def _imagined(
    snapshot: Snapshot, asked: schemas.WhatIf, series: int, where: Sequence[str | int]
) -> WhatIf:
    """Return what is to be imagined; raise RequestValidationError where it cannot be."""
    wrong: list[dict[str, Any]] = []
    if series > schemas.MAX_IMAGINED:
        message = f"at most {schemas.MAX_IMAGINED} series can be imagined at once"
        wrong.append({"loc": (*where, "series"), "msg": message, "type": "too_long"})
    ahead = {day: lead for lead, day in enumerate(snapshot.dates, 1)}
    for name in ("rain_mm", "price"):
        if not getattr(asked, name).keys() <= ahead.keys():
            message = f"the days forecast are {snapshot.dates[0]} to {snapshot.dates[-1]}"
            wrong.append({"loc": (*where, "what_if", name), "msg": message, "type": "date"})
    if (asked.rain_mm or asked.rain_factor != 1) and snapshot.model["weather"] == "none":
        message = "the champion is blind to weather"
        wrong.append({"loc": (*where, "what_if"), "msg": message, "type": "blind"})
    _refuse(wrong)
    rain, price = (
        {ahead[day]: mm for day, mm in part.items()} for part in (asked.rain_mm, asked.price)
    )
    return WhatIf(asked.rain_factor, rain, price)


def _refuse(wrong: Sequence[Mapping[str, Any]]) -> None:
    if wrong:
        raise RequestValidationError(wrong)
