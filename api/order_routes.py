"""The proposed orders."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.dependencies import CurrentLedger, CurrentSnapshot
from api.openapi import problems
from api.schemas import Order, Orders, OrdersQuery
from api.snapshot import Snapshot, date_text, encode
from salescast.ledger.ledger import Ledger

router = APIRouter(prefix="/v1", tags=["orders"], responses=problems(503))
CSV = "text/csv"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run what begins like this
_AS_CSV = {"content": {CSV: {"schema": {"type": "string"}, "example": "store_id,item_id,…"}}}
_ATTACHMENT = {"Content-Disposition": 'attachment; filename="orders.csv"'}


@router.get("/orders", response_model=Orders, responses={200: _AS_CSV})
async def list_orders(
    query: Annotated[OrdersQuery, Query()],
    request: Request,
    snapshot: CurrentSnapshot,
    ledger: CurrentLedger,
) -> Response:
    """List what to order at the last origin, next to what the old rule would order.

    `degraded` has `orders_old` where the newest orders are those of another model or of other
    data than the service uses now, and `orders_missing` where there are none.
    """
    answer = await run_in_threadpool(_orders, snapshot, ledger, query.store)
    if _prefers_csv(query.format, request.headers.get("accept", "")):
        return Response(_csv(answer["orders"]), media_type=CSV, headers=_ATTACHMENT)
    currency = request.app.state.settings.product.currency
    return Response(encode(answer | {"currency": currency}), media_type="application/json")


def _prefers_csv(requested: str | None, accept: str) -> bool:
    first = accept.partition(",")[0].partition(";")[0].strip().lower()
    return requested == "csv" or (requested is None and first == CSV)


def _orders(snapshot: Snapshot, ledger: Ledger, store: str | None) -> dict[str, Any]:
    answer = dict(snapshot.provenance)
    orders = ledger.orders(origin=datetime.fromisoformat(answer["origin"]))
    served = (orders["model_version"] == answer["model_version"]) & (
        orders["data_version"] == answer["data_version"]
    )
    newest = (orders[served] if served.any() else orders).drop_duplicates(
        ["store_id", "item_id"], keep="last"
    )
    if newest.empty:
        answer["degraded"] = sorted({*answer["degraded"], "orders_missing"})
    elif not served.any():
        answer |= {name: newest[name].iloc[-1] for name in ("model_version", "data_version")}
        answer["degraded"] = sorted({*answer["degraded"], "orders_old"})
    rows = newest if store is None else newest[newest["store_id"] == store]
    dated = rows.assign(counted=[date_text(day) for day in rows["counted"]])
    return answer | {"orders": dated[list(Order.model_fields)].to_dict("records")}


def _csv(orders: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Order.model_fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in orders)
    return text.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
