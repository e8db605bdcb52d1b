"""What the requests and answers of all routes have in common."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

MAX_SERIES = 1000  # named in one request
MAX_HORIZON = 14
DATE_PATTERN = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
STORE, ITEM, RECEIPT, DATE = "london-1", "u2", "8f0a3be2c9d14e5f6a7b", "2024-12-30"  # in examples

Finite = Annotated[float, Field(allow_inf_nan=False)]
StoreId = Annotated[str, Field(min_length=1, max_length=100, examples=[STORE])]
ItemId = Annotated[str, Field(min_length=1, max_length=100, examples=[ITEM])]
ReceiptId = Annotated[str, Field(pattern="^([0-9a-f]{20}|[0-9a-f]{24})$", examples=[RECEIPT])]
Date = Annotated[str, Field(pattern=DATE_PATTERN, examples=[DATE])]
Horizon = Annotated[
    int | None, Field(ge=1, le=MAX_HORIZON, description="Days ahead. Default: all days.")
]
Levels = Annotated[
    list[Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]] | None,
    Field(
        min_length=1,
        max_length=99,
        description="Quantile levels among those that GET /v1/model lists. Default: all.",
    ),
]


class RequestModel(BaseModel):
    """Base of what a caller sends: no unknown fields."""

    model_config = ConfigDict(extra="forbid")


def body_example(*examples: dict[str, Any]) -> ConfigDict:
    """Return the configuration of a JSON body: examples for /docs, and no type is converted."""
    return ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": list(examples)})


class Provenance(BaseModel):
    """The model, the data and the weather that an answer is based on."""

    model_version: str = Field(
        description="Version of the champion in the registry.", examples=["3"]
    )
    data_version: str = Field(
        description="Version of the tables: DVC's hash.", examples=["5c9ddc0f4a0c3a3d6e1a.dir"]
    )
    origin: str = Field(
        description="Last day with known sales, YYYY-MM-DD.", examples=["2024-12-29"]
    )
    weather_issued_at: str | None = Field(
        description="Day of the newest weather forecast used. Null: climatology was used.",
        examples=["2024-12-29"],
    )
    degraded: list[str] = Field(
        description="What was missing or old: weather_issue_old, weather_climatology, "
        "blind_model, last_good, orders_old, orders_missing.",
        examples=[[]],
    )


class FieldError(BaseModel):
    """One wrong value in a request."""

    where: str = Field(alias="in", description="body, query or path.")
    pointer: str = Field(description="JSON pointer to the value. Empty: the whole body.")
    detail: str


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(
        description="Link to the kind of problem on /docs, or about:blank.",
        examples=["/docs#unknown-series"],
    )
    title: str = Field(examples=["Unknown series"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["Series 1 of 1 is unknown. GET /v1/series lists all series."])
    errors: list[FieldError] | None = None
