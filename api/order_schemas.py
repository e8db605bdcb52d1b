"""Requests and answers of the order routes."""

from typing import Literal

from pydantic import BaseModel, Field

from api.schemas import RECEIPT, Finite, ItemId, Provenance, RequestModel, StoreId


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
    receipt_id: str = Field(description="The forecast behind the order.", examples=[RECEIPT])


class Orders(Provenance):
    """The newest proposed orders, by store and item."""

    currency: str = Field(examples=["USD"])
    orders: list[Order]
