"""Answers about the champion and the service."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from api.schemas import Provenance


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
