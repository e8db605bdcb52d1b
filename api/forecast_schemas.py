"""Requests and answers of the forecast routes."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from api.schemas import (
    DATE,
    ITEM,
    MAX_HORIZON,
    MAX_SERIES,
    RECEIPT,
    STORE,
    Date,
    Finite,
    Horizon,
    ItemId,
    Levels,
    Provenance,
    RequestModel,
    StoreId,
    body_example,
)

MAX_WHAT_IF = 100  # series of one what-if: the model predicts them during the request
_SERIES = {"store_id": STORE, "item_id": ITEM}
_BY_DATE: dict[str, Any] = {
    "default": {},
    "max_length": MAX_HORIZON,
    "json_schema_extra": {"additionalProperties": False},
}


class SeriesKey(RequestModel):
    """One item in one store."""

    model_config = body_example(_SERIES)

    store_id: StoreId
    item_id: ItemId


class WhatIf(RequestModel):
    """Other weather or prices in the days ahead, for every series of the request."""

    model_config = body_example(
        {"rain_factor": 0.5}, {"rain_mm": {DATE: 8.0}, "price": {"2024-12-31": 9.99}}
    )

    rain_factor: float = Field(
        1.0, ge=0, le=10, description="Multiplies the forecast probability and amount of rain."
    )
    rain_mm: dict[Date, Annotated[float, Field(ge=0, le=500)]] = Field(
        description="Rain that is certain, in mm, by date.", **_BY_DATE
    )
    price: dict[Date, Annotated[float, Field(ge=0.01, le=100_000)]] = Field(
        description="Price of one unit, by date.", **_BY_DATE
    )


class ForecastRequest(RequestModel):
    """Which series to forecast. The answer keeps their order."""

    model_config = body_example(
        {"series": [_SERIES]},
        {"series": [_SERIES], "horizon": 7, "quantiles": [0.1, 0.5, 0.9]},
        {"series": [_SERIES], "what_if": {"rain_factor": 0.5}},
    )

    series: list[SeriesKey] | None = Field(
        None, min_length=1, max_length=MAX_SERIES, description="Default: all series."
    )
    horizon: Horizon = None
    quantiles: Levels = None
    what_if: WhatIf | None = Field(
        None, description=f"Assume other weather or prices, for at most {MAX_WHAT_IF} series."
    )


class ForecastQuery(RequestModel):
    """Which part of one series' forecast to return."""

    horizon: Horizon = None
    quantiles: Levels = None


class ForecastDay(BaseModel):
    """The predictive distribution of one day's demand, in units."""

    date: str = Field(description="The day forecast, YYYY-MM-DD.", examples=[DATE])
    lead_time: int = Field(description="Days after the origin.", examples=[1])
    mean: Finite = Field(description="Expected demand, units.", examples=[4.25])
    quantiles: dict[str, Finite] = Field(
        description="p10 is the 0.1 quantile, units.",
        examples=[{"p10": 2.0, "p50": 4.0, "p90": 7.0}],
    )
    stock_target: Finite = Field(
        description="The quantile that balances lost sales and holding costs, units.",
        examples=[6.0],
    )
    issued_at: str | None = Field(
        description="Day of the weather forecast used. Null: climatology.", examples=["2024-12-29"]
    )
    degraded: list[str] = Field(description="What was missing or old on this day.", examples=[[]])


class ExplainedDay(ForecastDay):
    """One day's distribution with the causes of its mean."""

    because: dict[str, Finite] = Field(
        description="Units that each cause adds to the mean: usual, calendar, price, weather.",
        examples=[{"usual": 3.0, "calendar": -0.25, "price": 0.0, "weather": 1.5}],
    )


class SeriesForecast(BaseModel):
    """The forecast of one series."""

    store_id: StoreId
    item_id: ItemId
    receipt_id: str | None = Field(
        description="The ledger keeps the whole forecast under this id. Null: a what-if is not "
        "kept.",
        examples=[RECEIPT],
    )
    model_version: str = Field(
        description="The model that made it: the champion, or the version on trial in this store.",
        examples=["1"],
    )
    days: list[ExplainedDay]


class Forecasts(Provenance):
    """Forecasts in the order of the request."""

    forecasts: list[SeriesForecast]
    what_if: bool = Field(
        default=False, description="True: assumes other weather or prices, and is not recorded."
    )


class Receipt(Provenance):
    """A forecast as it was served, with the versions of that moment."""

    receipt_id: str = Field(examples=[RECEIPT])
    store_id: StoreId
    item_id: ItemId
    made_at: str = Field(description="When it was recorded, UTC.", examples=[f"{DATE}T05:00:00Z"])
    days: list[ForecastDay]


class SeriesQuery(RequestModel):
    """Which series to list."""

    store_id: StoreId | None = Field(None, description="Only this store.")
    limit: int = Field(100, ge=1, le=MAX_SERIES, description="Length of the page.")
    offset: int = Field(0, ge=0, le=1_000_000_000, description="Series before the page.")


class SeriesInfo(BaseModel):
    """One item in one store that has a forecast."""

    store_id: StoreId
    item_id: ItemId
    store_name: str = Field(examples=["London 1"])
    item_name: str = Field(examples=["Folding mini"])
    pack_size: int = Field(description="Units in one pack.", examples=[12])
    forecast_per_day: Finite = Field(
        description="Mean expected demand of the days forecast, units.", examples=[4.25]
    )
    sold_per_day: Finite = Field(description="Mean units sold in the last 28 days.", examples=[4.0])
    location_id: str = Field(description="Where its weather is measured.", examples=["london"])


class SeriesList(Provenance):
    """One page of the series, ordered by store and item."""

    total: int = Field(description="Number of series on all pages.", examples=[1])
    series: list[SeriesInfo]


class HistoryQuery(RequestModel):
    """How many days of history to return."""

    days: int = Field(84, ge=1, le=400, description="Days up to the origin.")


class PastDay(BaseModel):
    """What happened on one day."""

    date: str = Field(examples=["2024-12-29"])
    units: int = Field(description="Units sold.", examples=[3])
    price: Finite = Field(examples=[12.5])
    promo: bool
    sold_out: bool | None = Field(description="The shelf was empty. Null: unknown.")
    precip_mm: Finite | None = Field(description="Rain, mm. Null: unknown.", examples=[4.2])
    temp_c: Finite | None = Field(
        description="Mean temperature, °C. Null: unknown.", examples=[6.5]
    )


class AheadDay(BaseModel):
    """The inputs to the forecast of one day."""

    date: str = Field(examples=[DATE])
    price: Finite = Field(description="The planned price, or the last known one.", examples=[12.5])
    promo: bool
    rain_probability: Finite | None = Field(
        description="Probability of 1 mm or more. Null: no weather forecast.", examples=[0.8]
    )
    rain_mm: Finite | None = Field(
        description="Expected rain, mm. Null: no weather forecast.", examples=[6.5]
    )
    usual_probability: Finite | None = Field(
        description="The probability on this date in an average year.", examples=[0.45]
    )
    usual_mm: Finite | None = Field(
        description="The rain on this date in an average year, mm.", examples=[2.25]
    )


class History(Provenance):
    """The past of one series, oldest day first, and the inputs to its forecast.

    Days on which the store was closed are missing.
    """

    store_id: StoreId
    item_id: ItemId
    days: list[PastDay]
    ahead: list[AheadDay]
