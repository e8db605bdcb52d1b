"""Requests and answers of the order routes."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import (
    MAX_SERIES,
    PLAIN_TEXT,
    RECEIPT,
    Finite,
    ItemId,
    PlannerName,
    Provenance,
    ReceiptId,
    RequestModel,
    StoreId,
    body_example,
)

MAX_UNITS = 1_000_000
Reason = Literal["promotion", "event", "weather", "stock", "supplier", "range", "other"]
Status = Literal["proposed", "approved", "rejected", "released", "corrected"]
ReleaseId = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{8,64}$", examples=["monday-30-dec-1"])]
Units = Annotated[int, Field(ge=0, le=MAX_UNITS)]


class OrdersQuery(RequestModel):
    """Which orders to return, and in which format."""

    store: StoreId | None = Field(None, description="Only this store.")
    format: Literal["json", "csv"] | None = Field(
        None, description="Default: what the header Accept prefers, otherwise JSON."
    )


class Order(BaseModel):
    """The proposed order of one series next to the order of the old rule."""

    store_id: StoreId
    item_id: ItemId
    store_name: str = Field(examples=["London 1"])
    item_name: str = Field(examples=["Folding mini"])
    location_id: str = Field(description="City or region of the store.", examples=["london"])
    order: int = Field(description="Units to order, whole packs.", examples=[48])
    planner_order: int = Field(description="Order of the old rule, units.", examples=[60])
    on_hand: int = Field(description="Units on the shelf at the last count.", examples=[12])
    on_order: int = Field(description="Units ordered and not yet delivered.", examples=[0])
    counted: str | None = Field(
        description="Day of the last count. Null: never counted, assumed empty.",
        examples=["2024-12-29"],
    )
    unit_cost: Finite = Field(examples=[5.0])
    spend: Finite = Field(description="Cost of the order, money.", examples=[240.0])
    expected_demand: Finite = Field(
        description="Demand in the days that the order has to cover, units.", examples=[41.5]
    )
    expected_lost: Finite = Field(
        description="Demand in these days that is not met, units.", examples=[1.25]
    )
    expected_cost: Finite = Field(
        description="Expected lost margin, goodwill and holding cost, money.", examples=[31.5]
    )
    planner_cost: Finite = Field(
        description="The same cost with the old rule's order.", examples=[44.25]
    )
    fill_rate: Finite = Field(description="Share of demand that is met, 0 … 1.", examples=[0.97])
    due: bool = Field(description="Whether the origin is an order day.")
    pack_size: int = Field(description="Units in one pack.", examples=[12])
    forecast_per_day: Finite = Field(
        description="Mean expected demand of the days forecast, units.", examples=[4.25]
    )
    sold_per_day: Finite = Field(description="Mean units sold in the last 28 days.", examples=[4.0])
    attention: list[str] = Field(
        description="Why the order deserves a look: lost_sales, unusual_demand, overfull, "
        "far_from_rule, stale_count, degraded.",
        examples=[["lost_sales"]],
    )
    receipt_id: str = Field(description="The forecast behind the order.", examples=[RECEIPT])
    status: Status = Field(description="What planners decided.")
    revision: int = Field(
        description="Number of decisions so far. Send it with the next one.", examples=[0]
    )
    quantity: int | None = Field(
        description="Units after the last decision. Null: not decided.", examples=[None]
    )
    released: int = Field(description="Units released so far.", examples=[0])
    planner: str | None = Field(description="Who decided last.", examples=["Ann"])
    reason: str | None = Field(examples=["promotion"])
    note: str | None = None


class Orders(Provenance):
    """The newest proposed orders, by store and item."""

    currency: str = Field(examples=["USD"])
    orders: list[Order]


_RULES: dict[str, Any] = {  # what each action needs, for whoever generates requests
    "allOf": [
        {
            "if": {"properties": {"action": {"const": "approve"}}},
            "else": {"required": ["reason"], "properties": {"reason": {"type": "string"}}},
        },
        {
            "if": {"properties": {"action": {"enum": ["edit", "correct"]}}},
            "then": {"required": ["quantity"], "properties": {"quantity": {"type": "integer"}}},
            "else": {"properties": {"quantity": {"type": "null"}}},
        },
    ]
}


def _with_rules(*examples: dict[str, Any]) -> ConfigDict:
    config = body_example(*examples)
    config["json_schema_extra"] = {"examples": list(examples), **_RULES}
    return config


class OrderAction(RequestModel):
    """What to do with one order. `edit`, `reject` and `correct` need a reason."""

    model_config = _with_rules({"action": "edit", "quantity": 60, "reason": "promotion"})

    action: Literal["approve", "edit", "reject", "correct"]
    quantity: Units | None = Field(None, description="Units, whole packs: for edit and correct.")
    reason: Reason | None = None
    note: str | None = Field(
        None, max_length=300, pattern=PLAIN_TEXT, description="Plain text without < and >."
    )


class SingleDecision(OrderAction):
    """An action on the order in the address."""

    model_config = _with_rules(
        {"action": "edit", "quantity": 60, "reason": "promotion", "planner": "Ann"}
    )

    planner: PlannerName = None


class OrderDecision(OrderAction):
    """An action on one of many orders."""

    model_config = _with_rules({"receipt_id": RECEIPT, "revision": 0, "action": "approve"})

    receipt_id: ReceiptId
    revision: int = Field(ge=0, description="The revision that the planner saw.")


class DecisionsRequest(RequestModel):
    """Decisions about many orders: all or none."""

    model_config = body_example(
        {
            "planner": "Ann",
            "decisions": [{"receipt_id": RECEIPT, "revision": 0, "action": "approve"}],
        }
    )

    planner: PlannerName = None
    decisions: list[OrderDecision] = Field(min_length=1, max_length=MAX_SERIES)


class DecidedOrder(BaseModel):
    """An order after a decision."""

    receipt_id: str = Field(examples=[RECEIPT])
    revision: int = Field(examples=[1])
    status: Status
    quantity: int = Field(examples=[48])


class DecidedOrders(BaseModel):
    """Orders after decisions, in the order of the request."""

    decisions: list[DecidedOrder]


class ReleaseRequest(RequestModel):
    """Release every approved order. The same `release_id` again changes nothing."""

    model_config = body_example({"release_id": "monday-30-dec-1", "planner": "Ann"})

    release_id: ReleaseId = Field(description="Chosen by the caller, for exactly one release.")
    planner: PlannerName = None
    store: StoreId | None = Field(None, description="Only orders of this store.")


class ReleasedOrder(BaseModel):
    """One line of a release."""

    store_id: StoreId
    store_name: str
    item_id: ItemId
    item_name: str
    quantity: int = Field(description="Units to order in total.", examples=[48])
    change: int = Field(
        description="Units since the previous release of this order: send these to the supplier.",
        examples=[48],
    )
    unit_cost: Finite = Field(examples=[5.0])
    spend: Finite = Field(description="Cost of the quantity, money.", examples=[240.0])
    receipt_id: str = Field(examples=[RECEIPT])


class Release(BaseModel):
    """A release: what was ordered, by whom and when."""

    release_id: str = Field(examples=["monday-30-dec-1"])
    planner: str = Field(examples=["Ann"])
    released_at: str = Field(description="UTC.", examples=["2024-12-30T07:30:00Z"])
    origin: str = Field(examples=["2024-12-29"])
    currency: str = Field(examples=["USD"])
    orders: list[ReleasedOrder]


class ReleaseQuery(RequestModel):
    """In which format to return a release."""

    format: Literal["json", "csv"] = Field("json", description="json or csv.")
