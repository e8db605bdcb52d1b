"""What a planner asks beside the forecasts: orders, the past, scorecards, receipts."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path as File
from typing import Annotated, Any

import pandas as pd
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from api import records, schemas
from api.answers import history
from api.deps import Books, Current, StrictRoute
from api.openapi import problems
from api.routes import check_known
from api.snapshot import Snapshot, encode
from salescast.errors import DataQualityError, UnknownReceiptError
from salescast.ledger.ledger import Ledger

v1 = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["planning"])
JSON, CSV = "application/json", "text/csv"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run


@v1.get(
    "/orders",
    response_model=records.Orders,
    responses={
        200: {"content": {CSV: {"schema": {"type": "string"}, "example": "store_id,item_id,…"}}},
        **problems(422, 500, 503),
    },
)
async def list_orders(
    asked: Annotated[records.OrdersQuery, Query()],
    request: Request,
    snapshot: Current,
    books: Books,
) -> Response:
    """Propose what to order at the last origin, beside what the old rule would.

    Where orders were last proposed by another model or from other data than now serve, `degraded`
    has `orders_old`; where none were, `orders_missing`.
    """
    found = await run_in_threadpool(_orders, snapshot, books, asked.store)
    if _wants_csv(asked.format, request.headers.get("accept", "")):
        return Response(_csv(found["orders"]), media_type=CSV, headers=_ORDERS_FILE)
    currency = request.app.state.settings.product.currency
    return Response(encode(found | {"currency": currency}), media_type=JSON)


_ORDERS_FILE = {"Content-Disposition": 'attachment; filename="orders.csv"'}


def _wants_csv(given: str | None, accept: str) -> bool:
    first = accept.partition(",")[0].partition(";")[0].strip().lower()
    return given == "csv" or (given is None and first == CSV)


def _orders(snapshot: Snapshot, books: Ledger, store: str | None) -> dict[str, Any]:
    frame = books.orders(origin=datetime.fromisoformat(snapshot.provenance["origin"]))
    served = snapshot.provenance["model_version"], snapshot.provenance["data_version"]
    fresh = (frame["model_version"] == served[0]) & (frame["data_version"] == served[1])
    last = (frame[fresh] if fresh.any() else frame).drop_duplicates(
        ["store_id", "item_id"], keep="last"
    )
    said = dict(snapshot.provenance)
    missed = ["orders_missing"] if last.empty else [] if fresh.any() else ["orders_old"]
    if not (last.empty or fresh.any()):
        said |= {name: last[name].iloc[-1] for name in ("model_version", "data_version")}
    rows = last if store is None else last[last["store_id"] == store]
    names = list(records.Order.model_fields)
    dated = rows.assign(counted=[_day(day) for day in rows["counted"]])
    plain = dated[names].to_dict("records")
    return said | {"degraded": sorted({*said["degraded"], *missed}), "orders": plain}


def _day(moment: Any) -> str | None:
    return None if pd.isna(moment) else f"{moment:%Y-%m-%d}"


def _csv(orders: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records.Order.model_fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in orders)
    return text.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


@v1.get(
    "/history/{store_id}/{item_id}",
    response_model=records.History,
    responses=problems(404, 422, 500, 503),
)
async def look_back(
    store_id: Annotated[schemas.Id, Path(examples=[schemas.STORE])],
    item_id: Annotated[schemas.Id, Path(examples=[schemas.ITEM])],
    asked: Annotated[records.HistoryQuery, Query()],
    snapshot: Current,
) -> Response:
    """Show the last days of one series: what was sold, at what price, in what weather.

    Beside them stand the days ahead, with the weather and the plan that the forecast goes by.
    """
    check_known(snapshot, [(store_id, item_id)])
    body = await run_in_threadpool(history, snapshot, (store_id, item_id), asked.days)
    return Response(body, media_type=JSON)


@v1.get("/scorecard", response_model=records.Scorecard, responses=problems(500, 503))
async def show_scorecard(request: Request, snapshot: Current) -> Response:
    """Say how good the forecasts are: in the backtest, and so far in life.

    `live` is what `salescast monitor` found last.
    """
    path = request.app.state.settings.build / "monitoring.json"
    live = await run_in_threadpool(_live, path)
    card = snapshot.detail.scorecard if snapshot.detail else {}
    return Response(
        encode({**snapshot.provenance, "backtest": card, "live": live}), media_type=JSON
    )


def _live(path: File) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))["live"]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError) as error:
        raise DataQualityError(f"{path}: damaged ({error}); run `salescast monitor`") from error
    return found


@v1.get(
    "/receipts/{receipt_id}",
    response_model=records.Receipt,
    responses=problems(404, 422, 500, 503),
)
async def show_receipt(
    receipt_id: Annotated[str, Path(pattern="^[0-9a-f]{20}$", examples=["8f0a3be2c9d14e5f6a7b"])],
    books: Books,
) -> Response:
    """Show a forecast as it was served, whatever serves now."""
    return Response(await run_in_threadpool(_receipt, books, receipt_id), media_type=JSON)


def _receipt(books: Ledger, receipt_id: str) -> bytes:
    rows = books.receipt(receipt_id)
    if rows.empty:
        raise UnknownReceiptError("no served forecast carries this receipt")
    levels = [name for name in rows if name[0] == "p" and name[1:2].isdigit()]
    first, issued = rows.iloc[0], rows["issued_at"].max()
    days = [
        {
            "date": _day(row["date"]),
            "lead_time": int(row["lead_time"]),
            "mean": row["mean"],
            "quantiles": {name: row[name] for name in levels},
            "stock_target": row["stock_target"],
            "issued_at": _day(row["issued_at"]),
            "degraded": row["degraded"],
        }
        for row in rows.to_dict("records")
    ]
    about = {name: first[name] for name in ("receipt_id", "store_id", "item_id")}
    rests = {name: first[name] for name in ("model_version", "data_version")} | {
        "origin": _day(first["origin"]),
        "weather_issued_at": _day(issued),
        "degraded": sorted({name for day in days for name in day["degraded"]}),
    }
    made = f"{first['made_at']:%Y-%m-%dT%H:%M:%SZ}"
    return encode(rests | about | {"made_at": made, "days": days})
