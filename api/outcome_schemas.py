"""Requests and answers of the outcome routes."""

from pydantic import Field

from api.schemas import (
    DATE,
    ITEM,
    MAX_SERIES,
    STORE,
    Date,
    ItemId,
    Provenance,
    RequestModel,
    StoreId,
    body_example,
)

_OUTCOME = {"store_id": STORE, "item_id": ITEM, "date": DATE, "units": 5, "sold_out": False}


class Outcome(RequestModel):
    """Sales of one series on one day."""

    model_config = body_example(_OUTCOME)

    store_id: StoreId
    item_id: ItemId
    date: Date = Field(description="Today or earlier.")
    units: int = Field(ge=0, le=1_000_000, description="Units sold.")
    sold_out: bool | None = Field(None, description="The shelf was empty. Null: unknown.")


class OutcomesRequest(RequestModel):
    """Outcomes to record: all or none."""

    model_config = body_example({"outcomes": [_OUTCOME]})

    outcomes: list[Outcome] = Field(min_length=1, max_length=MAX_SERIES)


class Recorded(Provenance):
    """How many outcomes were recorded."""

    recorded: int = Field(description="New or corrected outcomes.", examples=[1])
    unchanged: int = Field(description="Outcomes that were known already.", examples=[0])
