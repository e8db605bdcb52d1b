"""Forecasts, what-ifs and receipts."""

from collections.abc import Sequence
from typing import Annotated, Any

import pandas as pd
from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from api.addresses import PathItemId, PathStoreId
from api.dependencies import (
    CurrentLedger,
    CurrentSnapshot,
    StrictRoute,
    refuse,
    require_json,
    require_known,
)
from api.forecast_schemas import (
    MAX_WHAT_IF,
    ForecastQuery,
    ForecastRequest,
    Forecasts,
    Receipt,
    WhatIf,
)
from api.model_inputs import Key
from api.openapi import problems
from api.schemas import ReceiptId
from api.snapshot import Snapshot, date_text, encode, forecast_chunks, what_if_body
from salescast.errors import UnknownReceiptError
from salescast.features import whatif
from salescast.ledger.ledger import Ledger

JSON = "application/json"
FEW = 20  # series that are answered at once; more are streamed from a thread
_RECEIPT_LINK = {
    "receipt": {
        "operationId": "show_receipt_v1_receipts__receipt_id__get",
        "parameters": {"receipt_id": "$response.body#/forecasts/0/receipt_id"},
        "description": "The same forecast as it was served.",
    }
}


router = APIRouter(
    prefix="/v1", route_class=StrictRoute, tags=["forecasts"], responses=problems(404, 503)
)


@router.post("/forecasts", response_model=Forecasts, dependencies=[Depends(require_json)])
async def forecast_series(query: ForecastRequest, snapshot: CurrentSnapshot) -> Response:
    """Forecast some series, or all, from the last origin. Many series are streamed.

    The numbers are those of the batch forecast, bit for bit. Each series has a receipt. With
    `what_if`, the model assumes other weather or prices: the answer is marked, has no receipts and
    is not recorded.
    """
    if query.series is None:
        keys = list(snapshot.forecasts)
    else:
        keys = [(one.store_id, one.item_id) for one in query.series]
    require_known(snapshot, keys)
    _require_offered(snapshot, query, "body")
    if query.what_if is None:
        return _forecast(snapshot, keys, query)
    what = _what_if(snapshot, query.what_if, len(keys))
    horizon, quantiles = _defaults(snapshot, query)
    body = await run_in_threadpool(what_if_body, snapshot, keys, what, horizon, quantiles)
    return Response(body, media_type=JSON)


@router.get(
    "/forecasts/{store_id}/{item_id}",
    response_model=Forecasts,
    responses={200: {"links": _RECEIPT_LINK}},
)
async def forecast_one(
    store_id: Annotated[PathStoreId, Path()],
    item_id: Annotated[PathItemId, Path()],
    query: Annotated[ForecastQuery, Query()],
    snapshot: CurrentSnapshot,
) -> Response:
    """Forecast one series; the answer is that of POST /v1/forecasts."""
    require_known(snapshot, [(store_id, item_id)])
    _require_offered(snapshot, query, "query")
    return _forecast(snapshot, [(store_id, item_id)], query)


def _forecast(
    snapshot: Snapshot, keys: Sequence[Key], query: ForecastRequest | ForecastQuery
) -> Response:
    chunks = forecast_chunks(snapshot, keys, *_defaults(snapshot, query))
    # Bytes, not a model: the JSON of each series exists, and to validate it would cost 40 ×.
    if len(keys) <= FEW:
        return Response(b"".join(chunks), media_type=JSON)
    return StreamingResponse(chunks, media_type=JSON)


def _defaults(
    snapshot: Snapshot, query: ForecastRequest | ForecastQuery
) -> tuple[int, Sequence[float]]:
    return query.horizon or snapshot.horizon, query.quantiles or list(snapshot.labels)


def _require_offered(
    snapshot: Snapshot, query: ForecastRequest | ForecastQuery, place: str
) -> None:
    """Raise RequestValidationError where the champion has no such horizon or quantile."""
    errors: list[dict[str, Any]] = []
    if (query.horizon or 1) > snapshot.horizon:
        message = f"This model forecasts {snapshot.horizon} days"
        errors.append({"loc": (place, "horizon"), "msg": message, "type": "horizon"})
    for position, level in enumerate(query.quantiles or []):
        if level not in snapshot.labels:
            message = f"This model has the quantiles {', '.join(map(str, snapshot.labels))}"
            errors.append({"loc": (place, "quantiles", position), "msg": message, "type": "level"})
    refuse(errors)


def _what_if(snapshot: Snapshot, query: WhatIf, series: int) -> whatif.WhatIf:
    """Return the what-if by lead time; raise RequestValidationError where it is impossible."""
    errors: list[dict[str, Any]] = []

    def add(message: str, *place: str) -> None:
        errors.append({"loc": ("body", *place), "msg": message, "type": "what_if"})

    if series > MAX_WHAT_IF:
        add(f"A what-if is for at most {MAX_WHAT_IF} series", "series")
    leads = {date: lead for lead, date in enumerate(snapshot.dates, 1)}
    for name in ("rain_mm", "price"):
        if not getattr(query, name).keys() <= leads.keys():
            days = f"{snapshot.dates[0]} to {snapshot.dates[-1]}"
            add(f"The forecast covers {days}", "what_if", name)
    if (query.rain_mm or query.rain_factor != 1) and snapshot.model["weather"] == "none":
        add("The champion does not use weather", "what_if")
    refuse(errors)
    rain, price = (
        {leads[date]: value for date, value in by_date.items()}
        for by_date in (query.rain_mm, query.price)
    )
    return whatif.WhatIf(query.rain_factor, rain, price)


@router.get("/receipts/{receipt_id}", response_model=Receipt)
async def show_receipt(receipt_id: Annotated[ReceiptId, Path()], ledger: CurrentLedger) -> Response:
    """Return a forecast as it was served, whatever model serves now."""
    body = await run_in_threadpool(_receipt, ledger, receipt_id)
    return Response(body, media_type=JSON)


def _receipt(ledger: Ledger, receipt_id: str) -> bytes:
    rows = ledger.receipt(receipt_id)
    if rows.empty:
        raise UnknownReceiptError("no served forecast has this receipt")
    labels = [name for name in rows if name[0] == "p" and name[1:2].isdigit()]
    days = [
        {
            "date": date_text(row["date"]),
            "lead_time": int(row["lead_time"]),
            "mean": row["mean"],
            "quantiles": {name: row[name] for name in labels if pd.notna(row[name])},
            "stock_target": row["stock_target"],
            "issued_at": date_text(row["issued_at"]),
            "degraded": row["degraded"],
        }
        for row in rows.to_dict("records")
    ]
    first = rows.iloc[0]
    names = ("receipt_id", "store_id", "item_id", "model_version", "data_version")
    head = {name: first[name] for name in names}
    head["origin"] = date_text(first["origin"])
    head["weather_issued_at"] = date_text(rows["issued_at"].max())
    head["degraded"] = sorted({reason for day in days for reason in day["degraded"]})
    return encode(head | {"made_at": f"{first['made_at']:%Y-%m-%dT%H:%M:%SZ}", "days": days})
