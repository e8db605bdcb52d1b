"""What planners do at their desk: decide about orders and release them, exactly once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import pandas as pd
from fastapi import Depends, Request

from api.dependencies import CurrentLedger, CurrentSnapshot, refuse
from api.order_book import OrderBook, OrderBooks
from api.order_schemas import OrderDecision, ReleasedOrder, ReleaseRequest
from api.snapshot import Snapshot, date_text
from salescast.errors import OrderConflict, OrderRefused, UnknownOrderError
from salescast.ledger.ledger import Ledger
from salescast.ordering.approval import quantity_error, refusal


@dataclass(frozen=True)
class OrderDesk:
    """The ledger and the snapshot of one request. Its methods block: call them in a thread.

    `key_name`: the name of the caller's key, None without one.
    """

    ledger: Ledger
    snapshot: Snapshot
    books: OrderBooks
    key_name: str | None
    currency: str

    @property
    def origin(self) -> datetime:
        """The origin of the current orders."""
        return datetime.fromisoformat(self.snapshot.provenance["origin"])

    def book(self) -> OrderBook:
        """Return the current order book."""
        return self.books.read(self.snapshot)

    def planner(self, name: str | None) -> str:
        """Return who decides: the name of the key, or the name in the body."""
        planner = self.key_name or name or ""
        if not planner:
            message = "Without a key, `planner` must say who decides"
            refuse([{"loc": ("body", "planner"), "msg": message, "type": "missing"}])
        return planner

    def decide(self, decisions: Sequence[OrderDecision], planner: str) -> dict[str, Any]:
        """Write decisions, all or none; raise what is wrong with them."""
        book = self.book()
        require_current(book, [one.receipt_id for one in decisions])
        _require_revisions(book, decisions)
        _require_possible(book, decisions)
        rows = [
            {
                "receipt_id": one.receipt_id,
                "revision": one.revision + 1,
                "origin": self.origin,
                "action": one.action,
                "quantity": _quantity(book, one),
                "reason": one.reason,
                "note": one.note,
                "planner": planner,
            }
            for one in decisions
        ]
        self.ledger.record_order_decisions(rows)
        states = [
            (row, book.state(one.receipt_id).after(row))
            for row, one in zip(rows, decisions, strict=True)
        ]
        return {"decisions": [row | {"status": state.status} for row, state in states]}

    def release(self, body: ReleaseRequest, planner: str) -> dict[str, Any]:
        """Release every approved order and return the release; one that exists is only returned."""
        if self.ledger.order_decisions(release_id=body.release_id).empty:
            try:
                self.ledger.record_order_decisions(self._to_release(body, planner))
            except OrderConflict:
                if self.ledger.order_decisions(release_id=body.release_id).empty:
                    raise  # another request with the same release is no conflict
        return self.released(body.release_id)

    def _to_release(self, body: ReleaseRequest, planner: str) -> list[dict[str, Any]]:
        """Return a release of each approved order; raise OrderRefused where there is none."""
        book = self.book()
        rows = [
            {
                "receipt_id": receipt,
                "revision": state.revision + 1,
                "origin": self.origin,
                "action": "release",
                "quantity": state.quantity,
                "planner": planner,
                "release_id": body.release_id,
            }
            for receipt, state in book.states.items()
            if receipt in book.orders
            and not refusal(state, "release")
            and body.store in (None, book.orders[receipt]["store_id"])
        ]
        if not rows:
            raise OrderRefused("No order is approved. Approve orders first, then release them.")
        return rows

    def released(self, release_id: str) -> dict[str, Any]:
        """Return a release with its lines; raise UnknownOrderError where there is none."""
        rows = self.ledger.order_decisions(release_id=release_id)
        if rows.empty:
            raise UnknownOrderError("Unknown release. POST /v1/orders/releases makes one.")
        first = rows.iloc[0]
        orders = self.ledger.orders(first["origin"])
        lines = rows.merge(orders[["receipt_id", "store_id", "item_id", "unit_cost"]])
        names = pd.DataFrame(list(self.snapshot.series))
        names = names[["store_id", "item_id", "store_name", "item_name"]]
        lines = lines.merge(names, how="left").sort_values(["store_id", "item_id"])
        for name in ("store", "item"):  # a series that ended since has no name
            lines[f"{name}_name"] = lines[f"{name}_name"].fillna(lines[f"{name}_id"])
        lines["change"] = lines["quantity"] - self._released_before(lines)
        lines["spend"] = lines["quantity"] * lines["unit_cost"]
        return {
            "release_id": release_id,
            "planner": first["planner"],
            "released_at": f"{first['made_at']:%Y-%m-%dT%H:%M:%SZ}",
            "origin": date_text(first["origin"]),
            "currency": self.currency,
            "orders": lines[list(ReleasedOrder.model_fields)].to_dict("records"),
        }

    def _released_before(self, lines: pd.DataFrame) -> pd.Series:
        """Return the units of each order's previous release, 0 where there was none."""
        decisions = self.ledger.order_decisions(lines["origin"].iloc[0])
        releases = decisions[decisions["action"] == "release"]
        pairs = lines[["receipt_id", "revision"]].merge(releases, on="receipt_id")
        earlier = pairs[pairs["revision_y"] < pairs["revision_x"]]
        last = earlier.groupby("receipt_id")["quantity"].last()
        return lines["receipt_id"].map(last).fillna(0).astype("int64")


async def order_desk(
    request: Request, snapshot: CurrentSnapshot, ledger: CurrentLedger
) -> OrderDesk:
    """Return the desk of one request."""
    state = request.app.state
    key_name = request.scope.get("key_name")
    return OrderDesk(ledger, snapshot, state.order_books, key_name, state.settings.product.currency)


CurrentDesk = Annotated[OrderDesk, Depends(order_desk)]


def require_current(book: OrderBook, receipts: Sequence[str]) -> None:
    """Raise an error where an order was never proposed, or where a newer one replaced it."""
    numbered = list(enumerate(receipts, 1))
    replaced = [number for number, receipt in numbered if receipt in book.replaced]
    unknown = [number for number, receipt in numbered if receipt not in book.orders]
    if replaced:
        raise OrderConflict(
            f"A newer forecast replaced {_named(replaced)}. Read the orders again, then decide."
        )
    if unknown:
        raise UnknownOrderError(
            f"Unknown: {_named(unknown)}. GET /v1/orders lists the orders of the last origin."
        )


def _require_revisions(book: OrderBook, decisions: Sequence[OrderDecision]) -> None:
    """Raise OrderConflict where somebody else decided since the planner read the orders."""
    stale = [
        (number, one.receipt_id)
        for number, one in enumerate(decisions, 1)
        if one.revision != book.state(one.receipt_id).revision
    ]
    if stale:
        planners = sorted({str(book.decided[r]["planner"]) for _, r in stale if r in book.decided})
        by = f" by {', '.join(planners)}" if planners else ""
        numbers = [number for number, _ in stale]
        raise OrderConflict(
            f"Changed since you read it{by}: {_named(numbers)}. Read the orders again, then decide."
        )


def _require_possible(book: OrderBook, decisions: Sequence[OrderDecision]) -> None:
    """Raise an error for decisions that lack something or that the status does not allow."""
    errors: list[dict[str, Any]] = []
    for position, one in enumerate(decisions):
        for name, message in _errors(book, one):
            place = ("body", "decisions", position, name) if len(decisions) > 1 else ("body", name)
            errors.append({"loc": place, "msg": message, "type": "decision"})
    refuse(errors)
    seen: set[str] = set()
    for number, one in enumerate(decisions, 1):
        message = refusal(book.state(one.receipt_id), one.action)
        if one.receipt_id in seen:
            message = "It is in the request twice. Decide once about each order"
        if message:
            raise OrderRefused(f"Order {number} of {len(decisions)}: {message}.")
        seen.add(one.receipt_id)


def _quantity(book: OrderBook, decision: OrderDecision) -> int:
    if decision.action == "reject":
        return 0
    if decision.action == "approve":
        return int(book.orders[decision.receipt_id]["order"])
    return decision.quantity or 0


def _errors(book: OrderBook, decision: OrderDecision) -> list[tuple[str, str]]:
    """Return (field, message) of what is wrong with a decision by itself."""
    changes = decision.action in {"edit", "correct"}
    errors = []
    if decision.action != "approve" and decision.reason is None:
        errors.append(("reason", f"Say why: {decision.action} needs a reason"))
    if changes and decision.quantity is None:
        errors.append(("quantity", f"{decision.action} needs a quantity"))
    if not changes and decision.quantity is not None:
        errors.append(("quantity", f"{decision.action} takes no quantity"))
    if changes and decision.quantity is not None:
        pack_size = int(book.orders[decision.receipt_id]["pack_size"])
        if message := quantity_error(decision.quantity, pack_size):
            errors.append(("quantity", message))
    return errors


def _named(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:10])) + (" …" if len(numbers) > 10 else "")
    return f"order {shown}" if len(numbers) == 1 else f"orders {shown}"
