"""What is asked and answered about orders, the past, receipts and outcomes."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.schemas import (
    DAY,
    ITEM,
    MAX_SERIES,
    PROVENANCE,
    STORE,
    DayName,
    Finite,
    ForecastRequest,
    Forecasts,
    Id,
    Provenance,
    example,
)

MAX_BATCH = 20  # requests in one batch
_RECEIPT = "8f0a3be2c9d14e5f6a7b"
_ORDER: dict[str, Any] = {
    "store_id": STORE,
    "item_id": ITEM,
    "order": 48,
    "planner_order": 60,
    "on_hand": 12,
    "on_order": 0,
    "counted": "2024-12-29",
    "unit_cost": 5.0,
    "spend": 240.0,
    "expected_demand": 41.5,
    "expected_lost": 1.25,
    "expected_cost": 31.5,
    "planner_cost": 44.25,
    "fill_rate": 0.97,
    "due": True,
    "receipt_id": _RECEIPT,
}
_PAST: dict[str, Any] = {
    "date": "2024-12-29",
    "units": 3,
    "price": 12.5,
    "promo": False,
    "sold_out": False,
    "precip_mm": 4.2,
    "temp_c": 6.5,
}
_AHEAD: dict[str, Any] = {
    "date": "2024-12-30",
    "price": 12.5,
    "promo": False,
    "rain_probability": 0.8,
    "rain_mm": 6.5,
    "usual_probability": 0.45,
    "usual_mm": 2.25,
}
_DAY = {name: value for name, value in DAY.items() if name != "because"}
_OUTCOME = {"store_id": STORE, "item_id": ITEM, "date": "2024-12-30", "units": 5, "sold_out": False}
_FORECASTS = PROVENANCE | {
    "forecasts": [
        {
            "store_id": STORE,
            "item_id": ITEM,
            "receipt_id": _RECEIPT,
            "model_version": "1",
            "days": [DAY],
        }
    ]
}


class OrdersQuery(BaseModel):
    """Whose orders, and how written."""

    model_config = ConfigDict(extra="forbid")

    store: Id | None = Field(None, description="Of this store only.")
    format: Literal["json", "csv"] | None = Field(
        None, description="Default: what the header Accept prefers; JSON."
    )


class Order(BaseModel):
    """What to order of one series, beside what the old rule would."""

    model_config = example(_ORDER)

    store_id: str
    item_id: str
    order: int = Field(description="Units to order, whole packs.")
    planner_order: int = Field(description="What the status-quo rule would order, units.")
    on_hand: int = Field(description="Units on the shelf at the last count.")
    on_order: int = Field(description="Units that are to come.")
    counted: str | None = Field(description="Day of the last count; null: taken as empty.")
    unit_cost: Finite
    spend: Finite = Field(description="Money the order costs.")
    expected_demand: Finite = Field(description="Units wanted in the cycle the order decides.")
    expected_lost: Finite = Field(description="Units wanted then and not had.")
    expected_cost: Finite = Field(description="Lost margin, goodwill and holding, money.")
    planner_cost: Finite = Field(description="The same of the status-quo rule's order.")
    fill_rate: Finite = Field(description="Share of demand that is met.")
    due: bool = Field(description="Whether orders are placed at the close of the origin.")
    receipt_id: str = Field(description="The forecast it rests on.")


class Orders(Provenance):
    """The orders proposed last, by store and item, with what they rest on."""

    model_config = example(PROVENANCE | {"currency": "USD", "orders": [_ORDER]})

    currency: str
    orders: list[Order]


class HistoryQuery(BaseModel):
    """How far back."""

    model_config = ConfigDict(extra="forbid")

    days: int = Field(84, ge=1, le=400, description="Days up to the origin.")


class PastDay(BaseModel):
    """What happened on one day."""

    model_config = example(_PAST)

    date: str
    units: int = Field(description="Units sold.")
    price: Finite
    promo: bool
    sold_out: bool | None = Field(description="The shelf was empty; null: nobody said.")
    precip_mm: Finite | None = Field(description="Rain that fell, mm; null: not known.")
    temp_c: Finite | None = Field(description="Mean temperature, °C; null: not known.")


class AheadDay(BaseModel):
    """What the forecast of one day goes by."""

    model_config = example(_AHEAD)

    date: str
    price: Finite = Field(description="As planned, or the last one.")
    promo: bool
    rain_probability: Finite | None = Field(description="Chance of 1 mm or more; null: no issue.")
    rain_mm: Finite | None = Field(description="Rain expected, mm; null: no issue.")
    usual_probability: Finite | None = Field(description="The same chance in a usual year.")
    usual_mm: Finite | None = Field(description="Rain of a usual year, mm.")


class History(Provenance):
    """The past of one series, oldest first; a day the shop was closed is not there.

    `ahead` has the days forecast, each with the weather and the plan that the forecast goes by.
    """

    model_config = example(
        PROVENANCE | {"store_id": STORE, "item_id": ITEM, "days": [_PAST], "ahead": [_AHEAD]}
    )

    store_id: str
    item_id: str
    days: list[PastDay]
    ahead: list[AheadDay]


class Scorecard(Provenance):
    """How good the forecasts are: of the backtest, and of those that came true."""

    model_config = example(
        PROVENANCE
        | {
            "backtest": {"models": {"challenger": {"overall": {"wape": 0.38}}}},
            "live": {"overall": {"wape": 0.4}},
        }
    )

    backtest: dict[str, Any] = Field(description="The champion's scorecard; empty: none was made.")
    live: dict[str, Any] = Field(description="Of the last `salescast monitor`; empty: none ran.")


class ReceiptDay(BaseModel):
    """One day of a forecast as it was served."""

    model_config = example(_DAY)

    date: str
    lead_time: int
    mean: Finite
    quantiles: dict[str, Finite]
    stock_target: Finite
    issued_at: str | None
    degraded: list[str]


class Receipt(Provenance):
    """A forecast as it was served; what it rests on is what it rested on then."""

    model_config = example(
        PROVENANCE
        | {
            "receipt_id": _RECEIPT,
            "store_id": STORE,
            "item_id": ITEM,
            "made_at": "2024-12-30T05:00:00Z",
            "days": [_DAY],
        }
    )

    receipt_id: str
    store_id: str
    item_id: str
    made_at: str = Field(description="When it was recorded, UTC.")
    days: list[ReceiptDay]


class Outcome(BaseModel):
    """What one series sold on one day."""

    model_config = example(_OUTCOME, closed=True)

    store_id: Id
    item_id: Id
    date: DayName = Field(description="Not in the future.")
    units: int = Field(ge=0, le=1_000_000, description="Units sold.")
    sold_out: bool | None = Field(None, description="The shelf was empty; null: not known.")


class OutcomesRequest(BaseModel):
    """Outcomes to record; all or none."""

    model_config = example({"outcomes": [_OUTCOME]}, closed=True)

    outcomes: list[Outcome] = Field(min_length=1, max_length=MAX_SERIES)


class Recorded(Provenance):
    """What became of the outcomes."""

    model_config = example(PROVENANCE | {"recorded": 1, "unchanged": 0})

    recorded: int = Field(description="New, or different from what was known.")
    unchanged: int = Field(description="Known already: sending them again does nothing.")


class BatchRequest(BaseModel):
    """Many requests for forecasts, answered later; for example one per scenario."""

    model_config = example(
        {
            "requests": [
                {"series": [{"store_id": STORE, "item_id": ITEM}]},
                {
                    "series": [{"store_id": STORE, "item_id": ITEM}],
                    "what_if": {"rain_factor": 0.0},
                },
            ]
        },
        closed=True,
    )

    requests: list[ForecastRequest] = Field(min_length=1, max_length=MAX_BATCH)


class Batch(BaseModel):
    """How far a batch is; `answers` in the order of its requests, once it is done."""

    model_config = example(
        {
            "batch_id": "5d41402abc4b2a76b971",
            "status": "done",
            "detail": None,
            "answers": [_FORECASTS],
        }
    )

    batch_id: str
    status: Literal["queued", "running", "done", "failed"]
    detail: str | None = Field(None, description="Why it failed.")
    answers: list[Forecasts] | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Batch":
        if (self.status == "done") != (self.answers is not None):
            raise ValueError("a batch has answers once it is done, and only then")
        return self
