"""What the requests and answers of all routes have in common."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_SERIES = 1000  # named in one request
MAX_HORIZON = 14
DATE_PATTERN = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
PLAIN_TEXT = r"^[^<>\x00-\x1f\x7f]*$"  # no markup, no control characters
STORE, ITEM, RECEIPT, DATE = "london-1", "u2", "8f0a3be2c9d14e5f6a7b", "2024-12-30"  # in examples

Finite = Annotated[float, Field(allow_inf_nan=False)]
StoreId = Annotated[str, Field(min_length=1, max_length=100, examples=[STORE])]
ItemId = Annotated[str, Field(min_length=1, max_length=100, examples=[ITEM])]
ReceiptId = Annotated[str, Field(pattern="^([0-9a-f]{20}|[0-9a-f]{24})$", examples=[RECEIPT])]
Date = Annotated[str, Field(pattern=DATE_PATTERN, examples=[DATE])]
PlannerName = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=100,
        pattern=PLAIN_TEXT,
        description="Who decides. Required without a key; with a key its name counts.",
        examples=["Ann"],
    ),
]
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


class ModelInfo(Provenance):
    """The champion: its lineage and what it can forecast."""

    name: str = Field(examples=["umbrella-sales"])
    run_id: str = Field(description="Its training run in MLflow.", examples=["0d7c5f1e9a3b4c2d"])
    trained_until: str = Field(description="Last day of its training data.")
    trained_on: str | None = Field(description="Version of its training data.")
    git_commit: str | None
    release: str | None = Field(None, description="Digest of all files of the release.")
    quality_verdict: str | None = Field(description="Data-quality verdict on its training data.")
    horizon: int = Field(examples=[14])
    quantiles: list[float] = Field(examples=[[0.1, 0.5, 0.9]])
    weather: str = Field(
        description="issued, or none: the model does not use weather.", examples=["issued"]
    )
    series: int = Field(description="Number of series it forecasts.", examples=[144])


class Scorecard(Provenance):
    """Accuracy and cost of the forecasts, in the backtest and live."""

    backtest: dict[str, Any] = Field(
        description="The champion's scorecard. Empty: there is none.",
        examples=[{"models": {"challenger": {"overall": {"wape": 0.38}}}}],
    )
    live: dict[str, Any] = Field(
        description="Result of the last `salescast monitor`. Empty: it has not run.",
        examples=[{"overall": {"wape": 0.4}}],
    )


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """The service serves forecasts, perhaps not the newest."""

    status: Literal["ok"] = "ok"
    degraded: list[str] = Field(
        default=[],
        description="last_good: the newest release or data cannot be loaded, so the service uses "
        "the last good ones.",
        examples=[[]],
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


class ReportLink(BaseModel):
    """A report of the last run."""

    title: str = Field(examples=["Monitoring report"])
    address: str = Field(
        description="Path of the page, relative to the service.", examples=["/reports/monitoring"]
    )


class Reports(BaseModel):
    """The reports that exist."""

    reports: list[ReportLink]
