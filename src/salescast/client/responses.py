"""What the API sends and receives, as dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Provenance:
    """What an answer is based on; days are YYYY-MM-DD."""

    model_version: str
    data_version: str
    origin: str
    weather_issued_at: str | None
    degraded: tuple[str, ...]


@dataclass(frozen=True)
class Day:
    """The predictive distribution of one day's demand, units."""

    date: str
    lead_time: int
    mean: float
    quantiles: Mapping[str, float]
    stock_target: float
    issued_at: str | None
    degraded: tuple[str, ...]
    because: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Forecast:
    """The forecast of one series."""

    store_id: str
    item_id: str
    receipt_id: str | None
    days: tuple[Day, ...]


@dataclass(frozen=True)
class Forecasts(Provenance):
    """Forecasts in the order of the request."""

    forecasts: tuple[Forecast, ...]
    what_if: bool = False


@dataclass(frozen=True)
class Receipt(Provenance):
    """A forecast as it was served."""

    receipt_id: str
    store_id: str
    item_id: str
    made_at: str
    days: tuple[Day, ...]


@dataclass(frozen=True)
class Order:
    """The proposed order of one series next to the old rule's; units and money."""

    store_id: str
    item_id: str
    order: int
    planner_order: int
    on_hand: int
    on_order: int
    spend: float
    expected_demand: float
    expected_cost: float
    planner_cost: float
    fill_rate: float
    due: bool
    receipt_id: str
    store_name: str
    item_name: str
    attention: tuple[str, ...]
    status: str
    revision: int
    quantity: int | None


@dataclass(frozen=True)
class Decision:
    """What to do with an order: approve, edit, reject or correct; all but approve need a reason."""

    receipt_id: str
    revision: int
    action: str = "approve"
    quantity: int | None = None
    reason: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Decided:
    """An order after a decision."""

    receipt_id: str
    revision: int
    status: str
    quantity: int


@dataclass(frozen=True)
class Decisions:
    """Orders after decisions, in the order of the request."""

    decisions: tuple[Decided, ...]


@dataclass(frozen=True)
class ReleasedOrder:
    """One line of a release; `change`: units since the previous release of the order."""

    store_id: str
    item_id: str
    quantity: int
    change: int
    spend: float
    receipt_id: str


@dataclass(frozen=True)
class OrderRelease:
    """A release: what was ordered, by whom and when."""

    release_id: str
    planner: str
    released_at: str
    orders: tuple[ReleasedOrder, ...]


@dataclass(frozen=True)
class Orders(Provenance):
    """The newest proposed orders."""

    currency: str
    orders: tuple[Order, ...]


@dataclass(frozen=True)
class PastDay:
    """What happened on one day."""

    date: str
    units: int
    price: float
    promo: bool
    sold_out: bool | None
    precip_mm: float | None
    temp_c: float | None


@dataclass(frozen=True)
class History(Provenance):
    """The past of one series, oldest day first."""

    store_id: str
    item_id: str
    days: tuple[PastDay, ...]


@dataclass(frozen=True)
class Recorded(Provenance):
    """How many outcomes were recorded."""

    recorded: int
    unchanged: int


@dataclass(frozen=True)
class Outcome:
    """Units sold of one series on one day."""

    store_id: str
    item_id: str
    date: str
    units: int
    sold_out: bool | None = None


@dataclass(frozen=True)
class WhatIf:
    """Other weather or prices: rain scaled, or certain (mm) by date; prices by date."""

    rain_factor: float = 1.0
    rain_mm: Mapping[str, float] = field(default_factory=dict)
    price: Mapping[str, float] = field(default_factory=dict)


_ITEMS: Mapping[tuple[type, str], type] = {
    (Forecasts, "forecasts"): Forecast,
    (Forecast, "days"): Day,
    (Receipt, "days"): Day,
    (Orders, "orders"): Order,
    (History, "days"): PastDay,
    (Decisions, "decisions"): Decided,
    (OrderRelease, "orders"): ReleasedOrder,
}
"""The dataclass of each item of a field that is a list."""


def read(kind: type[T], plain: Mapping[str, Any]) -> T:
    """Return parsed JSON as a dataclass; leave out unknown names."""
    names = [one.name for one in fields(kind) if one.name in plain]  # type: ignore[arg-type]
    return kind(**{name: _value(kind, name, plain[name]) for name in names})


def _value(kind: type, name: str, value: Any) -> Any:
    item = _ITEMS.get((kind, name))
    if item is not None:
        return tuple(read(item, one) for one in value)
    return tuple(value) if isinstance(value, list) else value
