"""The orders of the last origin with what planners decided, read from the ledger."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from api.snapshot import Snapshot, date_text
from salescast.ledger.ledger import Ledger
from salescast.ordering.approval import OrderState, attention, state_of

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run what begins like this
_NAMES = ("store_name", "item_name", "location_id", "pack_size", "forecast_per_day", "sold_per_day")
_NUMBERS = (
    *("order", "planner_order", "on_hand", "on_order", "counted", "unit_cost", "spend"),
    *("expected_demand", "expected_lost", "expected_cost", "planner_cost", "fill_rate", "due"),
)


@dataclass(frozen=True)
class OrderBook:
    """Proposed orders by receipt, the state of those that planners decided on, and a version.

    `provenance`: what the orders are based on. `replaced`: receipts of orders for which there is a
    newer one.
    """

    version: tuple[int, int]
    provenance: Mapping[str, Any]
    orders: Mapping[str, Mapping[str, Any]]
    states: Mapping[str, OrderState]
    decided: Mapping[str, Mapping[str, Any]]
    replaced: frozenset[str]

    @property
    def etag(self) -> str:
        """The version of the whole book as an entity tag."""
        models = f"{self.provenance['model_version']}.{self.provenance['data_version'][:12]}"
        return f'"{models}.{self.version[0]}.{self.version[1]}"'

    def state(self, receipt_id: str) -> OrderState:
        """Return the state of one order."""
        return self.states.get(receipt_id, OrderState())

    def row(self, receipt_id: str) -> dict[str, Any]:
        """Return one order with its state, as the API answers it."""
        state, last = self.state(receipt_id), self.decided.get(receipt_id, {})
        return {
            **self.orders[receipt_id],
            "status": state.status,
            "revision": state.revision,
            "quantity": state.quantity,
            "released": state.released,
            **{name: last.get(name) for name in ("planner", "reason", "note")},
        }


class OrderBooks:
    """Reads the current order book; proposals are read again only when there are new ones."""

    def __init__(self, ledger: Ledger) -> None:
        """Remember the ledger."""
        self._ledger = ledger
        self._proposals: tuple[Any, Any] = (None, None)

    def read(self, snapshot: Snapshot) -> OrderBook:
        """Return the order book of the snapshot's origin. It blocks: call it in a thread."""
        origin = datetime.fromisoformat(snapshot.provenance["origin"])
        version = self._ledger.order_counts(origin)
        key, proposals = self._proposals
        if key is None or key[0] is not snapshot or key[1] != version[0]:
            proposals = _proposals(snapshot, self._ledger.orders(origin))
            self._proposals = (snapshot, version[0]), proposals
        provenance, orders, replaced = proposals
        by_receipt: dict[str, list[dict[str, Any]]] = {}
        if version[1]:
            for row in self._ledger.order_decisions(origin).to_dict("records"):
                by_receipt.setdefault(row["receipt_id"], []).append(row)
        states = {receipt: state_of(rows) for receipt, rows in by_receipt.items()}
        decided = {
            receipt: {name: None if pd.isna(value) else value for name, value in rows[-1].items()}
            for receipt, rows in by_receipt.items()
        }
        return OrderBook(version, provenance, orders, states, decided, replaced)


def _proposals(
    snapshot: Snapshot, orders: pd.DataFrame
) -> tuple[dict[str, Any], dict[str, dict[str, Any]], frozenset[str]]:
    """Return the provenance, the newest order of each series by receipt, and older receipts."""
    provenance = dict(snapshot.provenance)
    served = (orders["model_version"] == provenance["model_version"]) & (
        orders["data_version"] == provenance["data_version"]
    )
    newest = (orders[served] if served.any() else orders).drop_duplicates(
        ["store_id", "item_id"], keep="last"
    )
    missing = [] if served.any() else ["orders_missing"] if newest.empty else ["orders_old"]
    if missing == ["orders_old"]:
        provenance |= {n: newest[n].iloc[-1] for n in ("model_version", "data_version")}
    provenance["degraded"] = sorted({*provenance["degraded"], *missing})
    replaced = frozenset(orders["receipt_id"]) - frozenset(newest["receipt_id"])
    return provenance, _described(snapshot, newest), replaced


def _described(snapshot: Snapshot, orders: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return orders by receipt with names and with the reasons to look at them."""
    series = pd.DataFrame(list(snapshot.series))[["store_id", "item_id", *_NAMES]]
    rows = orders.merge(series, on=["store_id", "item_id"])
    keys = zip(rows["store_id"], rows["item_id"], strict=True)
    rows["degraded"] = [any(snapshot.forecasts[key].degraded) for key in keys]
    rows["attention"] = attention(rows, pd.Timestamp(snapshot.provenance["origin"]))
    rows["counted"] = [date_text(day) for day in rows["counted"]]
    columns = ["store_id", "item_id", *_NAMES, *_NUMBERS, "attention", "receipt_id"]
    return {row["receipt_id"]: row for row in rows[columns].to_dict("records")}


def csv_text(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return rows as CSV, rounded to cents, in which no cell is a formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows({name: _cell(row[name]) for name in columns} for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, float):
        return round(value, 2)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
