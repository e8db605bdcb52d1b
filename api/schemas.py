"""What is asked and what is answered."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

MAX_SERIES = 1000
MAX_HORIZON = 14
MAX_IMAGINED = 100  # series of one what-if: their numbers are made, not looked up
DAY_PATTERN = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"

Id = Annotated[str, Field(min_length=1, max_length=100)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Horizon = Annotated[
    int | None, Field(ge=1, le=MAX_HORIZON, description="Days ahead; default: all there are.")
]
Levels = Annotated[
    list[Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]] | None,
    Field(
        min_length=1,
        max_length=99,
        description="Quantile levels, of those GET /v1/model lists; default: all.",
    ),
]

DayName = Annotated[str, Field(pattern=DAY_PATTERN)]
STORE, ITEM = "london-1", "u2"
PROVENANCE: dict[str, Any] = {
    "model_version": "3",
    "data_version": "5c9ddc0f4a0c3a3d6e1ab6e4f0b5d1c2.dir",
    "origin": "2024-12-29",
    "weather_issued_at": "2024-12-29",
    "degraded": [],
}
DAY: dict[str, Any] = {
    "date": "2024-12-30",
    "lead_time": 1,
    "mean": 4.25,
    "quantiles": {"p10": 2.0, "p50": 4.0, "p90": 7.0},
    "stock_target": 6.0,
    "because": {"usual": 3.0, "calendar": -0.25, "price": 0.0, "weather": 1.5},
    "issued_at": "2024-12-29",
    "degraded": [],
}
_SERIES = {
    "store_id": STORE,
    "item_id": ITEM,
    "receipt_id": "8f0a3be2c9d14e5f6a7b",
    "model_version": "1",
    "days": [DAY],
}


def example(*examples: dict[str, Any], closed: bool = False) -> ConfigDict:
    """Return a model's configuration; a `closed` one takes no other field and converts nothing."""
    extra: JsonDict = {"examples": list(examples)}
    return ConfigDict(
        json_schema_extra=extra, extra="forbid" if closed else "ignore", strict=closed
    )


class SeriesKey(BaseModel):
    """One store × item."""

    model_config = example({"store_id": STORE, "item_id": ITEM}, closed=True)

    store_id: Id
    item_id: Id


class WhatIf(BaseModel):
    """What is imagined of the days ahead, for every series asked for."""

    model_config = example(
        {"rain_factor": 0.5},
        {"rain_mm": {"2024-12-30": 8.0}, "price": {"2024-12-31": 9.99}},
        closed=True,
    )

    rain_factor: float = Field(
        1.0, ge=0, le=10, description="Scales the issued chance and amount of rain."
    )
    rain_mm: dict[DayName, Annotated[float, Field(ge=0, le=500)]] = Field(
        default={},
        max_length=MAX_HORIZON,
        description="Rain that is certain, by date, mm.",
        json_schema_extra={"additionalProperties": False},
    )
    price: dict[DayName, Annotated[float, Field(ge=0.01, le=100_000)]] = Field(
        default={},
        max_length=MAX_HORIZON,
        description="Price of a unit, by date.",
        json_schema_extra={"additionalProperties": False},
    )


class ForecastRequest(BaseModel):
    """The series to forecast; the answer keeps their order."""

    model_config = example(
        {"series": [{"store_id": STORE, "item_id": ITEM}]},
        {
            "series": [{"store_id": STORE, "item_id": ITEM}],
            "horizon": 7,
            "quantiles": [0.1, 0.5, 0.9],
            "what_if": {"rain_factor": 0.5},
        },
        closed=True,
    )

    series: list[SeriesKey] = Field(min_length=1, max_length=MAX_SERIES)
    horizon: Horizon = None
    quantiles: Levels = None
    what_if: WhatIf | None = Field(
        None, description=f"Imagine other weather or prices, for at most {MAX_IMAGINED} series."
    )


class ForecastQuery(BaseModel):
    """What to leave out of one series' forecast."""

    model_config = ConfigDict(extra="forbid")

    horizon: Horizon = None
    quantiles: Levels = None


class SeriesQuery(BaseModel):
    """Which series to list."""

    model_config = ConfigDict(extra="forbid")

    store_id: Id | None = Field(None, description="Of this store only.")
    limit: int = Field(100, ge=1, le=MAX_SERIES, description="At most so many.")
    offset: int = Field(0, ge=0, le=1_000_000_000, description="Skip so many.")


class Provenance(BaseModel):
    """What an answer rests on."""

    model_version: str = Field(description="Version of the champion in the registry.")
    data_version: str = Field(description="Version of the tables: DVC's hash.")
    origin: str = Field(description="Last day whose close is known, YYYY-MM-DD.")
    weather_issued_at: str | None = Field(
        description="Day of the newest weather issue used; null: no issue, climatology."
    )
    degraded: list[str] = Field(
        description="What the answer had to do without: weather_issue_old, weather_climatology."
    )


class Day(BaseModel):
    """The predictive distribution of one day's demand, units."""

    model_config = example(DAY)

    date: str = Field(description="The day forecast, YYYY-MM-DD.")
    lead_time: int = Field(description="Days from the origin.")
    mean: Finite = Field(description="Expected demand, units.")
    quantiles: dict[str, Finite] = Field(description="p10 is the 0.1 quantile, units.")
    stock_target: Finite = Field(description="The quantile worth having on the shelf, units.")
    because: dict[str, Finite] = Field(
        description="Units each cause adds to the mean: usual, calendar, price, weather."
    )
    issued_at: str | None = Field(description="Day of the weather issue used; null: climatology.")
    degraded: list[str]


class SeriesForecast(BaseModel):
    """The forecast of one series."""

    model_config = example(_SERIES)

    store_id: str
    item_id: str
    receipt_id: str | None = Field(
        description="Under this id the ledger keeps the whole forecast, whatever part was asked; "
        "null: a what-if is not kept."
    )
    model_version: str = Field(
        description="Who made it: the champion, or the version on trial that serves this store."
    )
    days: list[Day]


class Forecasts(Provenance):
    """Forecasts in the order they were asked for."""

    model_config = example(PROVENANCE | {"forecasts": [_SERIES]})

    forecasts: list[SeriesForecast]
    what_if: bool = Field(False, description="True: imagined, recorded nowhere.")


class ModelInfo(Provenance):
    """The champion: what it is and what it can be asked."""

    model_config = example(
        PROVENANCE
        | {
            "name": "umbrella-sales",
            "run_id": "0d7c5f1e9a3b4c2d8e6f7a8b9c0d1e2f",
            "trained_until": "2024-12-29",
            "trained_on": "5c9ddc0f4a0c3a3d6e1ab6e4f0b5d1c2.dir",
            "git_commit": "8d3c1f0a5e7b9d2c4f6a8b0c1d3e5f7a9b2c4d6e",
            "release": "4f6a8b0c1d3e5f7a9b2c4d6e8d3c1f0a5e7b9d2c4f6a8b0c1d3e5f7a9b2c4d6e",
            "quality_verdict": "accepted",
            "horizon": 14,
            "quantiles": [0.1, 0.5, 0.9],
            "weather": "issued",
            "series": 144,
        }
    )

    name: str
    run_id: str = Field(description="The run in MLflow that made it.")
    trained_until: str = Field(description="Last day it learned from.")
    trained_on: str | None = Field(description="The data version it learned from.")
    git_commit: str | None
    release: str | None = Field(None, description="Digest of the release: all of its files.")
    quality_verdict: str | None = Field(description="Verdict on the data it learned from.")
    horizon: int
    quantiles: list[float]
    weather: str = Field(description="issued, or none: a model that is blind to weather.")
    series: int = Field(description="How many series it forecasts.")


class SeriesInfo(BaseModel):
    """One store × item that has a forecast."""

    store_id: str
    item_id: str
    item_name: str
    location_id: str = Field(description="Where its weather is measured.")


class SeriesList(Provenance):
    """A page of the series that have a forecast, ordered by store and item."""

    model_config = example(
        PROVENANCE
        | {
            "total": 1,
            "series": [
                {
                    "store_id": STORE,
                    "item_id": ITEM,
                    "item_name": "Folding mini",
                    "location_id": "london",
                }
            ],
        }
    )

    total: int = Field(description="How many there are, on all pages.")
    series: list[SeriesInfo]


class Health(BaseModel):
    """The service is well."""

    model_config = example({"status": "ok"})

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """The service serves forecasts, perhaps not the newest."""

    model_config = example({"status": "ok", "degraded": []})

    status: Literal["ok"] = "ok"
    degraded: list[str] = Field(
        default=[],
        description="What the service does without. last_good: the newest release or data cannot "
        "be loaded, so the last good ones are served.",
    )


class Complaint(BaseModel):
    """One thing that was wrong with a request."""

    where: str = Field(alias="in", description="body, query or path.")
    pointer: str = Field(description="JSON pointer to the value; empty: the whole.")
    detail: str


class Problem(BaseModel):
    """An error, after RFC 9457."""

    model_config = example(
        {
            "type": "/docs#unknown-series",
            "title": "Unknown series",
            "status": 404,
            "detail": "unknown: number 1 of `series`; GET /v1/series lists those there are",
        }
    )

    type: str = Field(description="A link to what this kind of problem means, or about:blank.")
    title: str
    status: int
    detail: str
    errors: list[Complaint] | None = None
