"""Orders: what is proposed, what planners decide, and what is released."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from api.dependencies import StrictRoute, require_json
from api.openapi import problems
from api.order_book import csv_text
from api.order_desk import CurrentDesk, OrderDesk, require_current
from api.order_schemas import (
    DecidedOrders,
    DecisionsRequest,
    Order,
    OrderDecision,
    Orders,
    OrdersQuery,
    Release,
    ReleasedOrder,
    ReleaseId,
    ReleaseQuery,
    ReleaseRequest,
    SingleDecision,
)
from api.schemas import ReceiptId

CSV = "text/csv"
_AS_CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": {CSV: {"schema": {"type": "string"}, "example": "store_id,…"}}}
}
_COLUMNS = [name for name in Order.model_fields if name != "note"]
router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["orders"], responses=problems(503))
changes = APIRouter(
    prefix="/v1",
    route_class=StrictRoute,
    tags=["orders"],
    responses=problems(404, 409, 412, 503),
    dependencies=[Depends(require_json)],
)


@router.get("/orders", response_model=Orders, responses=_AS_CSV)
async def list_orders(
    query: Annotated[OrdersQuery, Query()], request: Request, desk: CurrentDesk
) -> Response:
    """List what to order at the last origin, with what planners decided, in one answer.

    `degraded` has `orders_old` where the newest orders are those of another model or of other
    data than the service uses now, and `orders_missing` where there are none.
    """
    as_csv = _prefers_csv(query.format, request.headers.get("accept", ""))
    return await run_in_threadpool(_orders, desk, query.store, as_csv=as_csv)


def _orders(desk: OrderDesk, store: str | None, *, as_csv: bool) -> Response:
    book = desk.book()
    rows = [
        book.row(receipt)
        for receipt, order in book.orders.items()
        if store in (None, order["store_id"])
    ]
    if as_csv:
        return _attachment(csv_text(rows, _COLUMNS), "orders.csv")
    answer = {**book.provenance, "currency": desk.currency, "orders": rows}
    # Not a response model: to validate 10,000 orders would take longer than to read them.
    return Response(to_json(answer), media_type="application/json", headers={"ETag": book.etag})


def _prefers_csv(requested: str | None, accept: str) -> bool:
    first = accept.partition(",")[0].partition(";")[0].strip().lower()
    return requested == "csv" or (requested is None and first == CSV)


def _attachment(text: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type=CSV, headers=headers)


@router.get("/orders/{receipt_id}", response_model=Order, responses=problems(404, 412))
async def show_order(
    receipt_id: Annotated[ReceiptId, Path()], response: Response, desk: CurrentDesk
) -> dict[str, Any]:
    """Return one order; its ETag is what `If-Match` needs."""
    book = await run_in_threadpool(desk.book)
    require_current(book, [receipt_id])
    response.headers["ETag"] = f'"{book.state(receipt_id).revision}"'
    return book.row(receipt_id)


@changes.post("/orders/decisions", response_model=DecidedOrders)
async def decide_orders(body: DecisionsRequest, desk: CurrentDesk) -> dict[str, Any]:
    """Approve, edit, reject or correct many orders: all or none.

    Each decision names the `revision` that the planner saw. Where somebody else decided since, the
    answer is 412 and nothing is written.
    """
    planner = desk.planner(body.planner)
    return await run_in_threadpool(desk.decide, body.decisions, planner)


@changes.post(
    "/orders/{receipt_id}/decisions", response_model=DecidedOrders, responses=problems(428)
)
async def decide_order(
    receipt_id: Annotated[ReceiptId, Path()],
    body: SingleDecision,
    desk: CurrentDesk,
    if_match: Annotated[str | None, Header(description='ETag of the order, such as "0".')] = None,
) -> dict[str, Any]:
    """Approve, edit, reject or correct one order, if it is still as `If-Match` says."""
    if if_match is None:
        raise HTTPException(428)
    tag = if_match.strip('"')
    if not (tag.isascii() and tag.isdecimal() and len(tag) < 10):
        raise HTTPException(412)
    action = body.model_dump(exclude={"planner"})
    decision = OrderDecision(receipt_id=receipt_id, revision=int(tag), **action)
    return await run_in_threadpool(desk.decide, [decision], desk.planner(body.planner))


@changes.post("/orders/releases", response_model=Release)
async def release_orders(body: ReleaseRequest, desk: CurrentDesk) -> dict[str, Any]:
    """Release every approved order, exactly once.

    The caller chooses `release_id`: sending it again returns the same release and releases nothing
    more. A released order stays as it is; a correction can follow it.
    """
    return await run_in_threadpool(desk.release, body, desk.planner(body.planner))


@router.get(
    "/orders/releases/{release_id}", response_model=Release, responses=_AS_CSV | problems(404)
)
async def show_release(
    release_id: Annotated[ReleaseId, Path()],
    query: Annotated[ReleaseQuery, Query()],
    desk: CurrentDesk,
) -> Any:
    """Return a release as JSON or as the CSV file for the ordering system."""
    release = await run_in_threadpool(desk.released, release_id)
    if query.format == "csv":
        columns = list(ReleasedOrder.model_fields)
        return _attachment(csv_text(release["orders"], columns), f"release-{release_id}.csv")
    return release
