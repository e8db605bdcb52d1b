"""Requests and answers of the series routes."""

from pydantic import BaseModel, Field

from api.schemas import DATE, MAX_SERIES, Finite, ItemId, Provenance, RequestModel, StoreId


class SeriesQuery(RequestModel):
    """Which series to list."""

    store_id: StoreId | None = Field(None, description="Only this store.")
    limit: int = Field(100, ge=1, le=MAX_SERIES, description="Length of the page.")
    offset: int = Field(0, ge=0, le=1_000_000_000, description="Series before the page.")


class SeriesInfo(BaseModel):
    """One item in one store that has a forecast."""

    store_id: StoreId
    item_id: ItemId
    item_name: str = Field(examples=["Folding mini"])
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
