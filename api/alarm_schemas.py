"""Requests and answers of the alarm routes."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from api.schemas import RequestModel, body_example

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class AlarmsQuery(RequestModel):
    """Which alarms to list."""

    resolved: Literal["true", "false"] = Field("false", description="Whether to list all alarms.")


class AlarmChange(RequestModel):
    """Who acknowledges or resolves an alarm, and why."""

    model_config = body_example({"person": "ada", "reason": "a rival opened"})

    person: Text = Field(description="Who does it.", examples=["ada"])
    reason: Text = Field(description="Why; the ledger keeps it.", examples=["a rival opened"])


class Alarm(BaseModel):
    """An alarm, its evidence, and what happened to it last."""

    alarm_id: str = Field(examples=["3f9a01bc"])
    name: str = Field(examples=["demand_shift"])
    severity: Literal["page", "ticket"]
    subject: str = Field(examples=["in london"])
    state: Literal["open", "acknowledged", "resolved"]
    origin: str = Field(description="The day it was opened.", examples=["2025-02-01"])
    evidence: dict[str, Any]
    runbook: str | None = Field(description="The page that says what to do.")
    day: str | None = Field(description="The day of the last event.", examples=["2025-02-02"])
    person: str | None = Field(description="Who did it; null: evidence, or no event.")
    reason: str | None


class Alarms(BaseModel):
    """The alarms, pages first, newest first."""

    alarms: list[Alarm]


class AlarmState(BaseModel):
    """The new state of an alarm."""

    alarm_id: str = Field(examples=["3f9a01bc"])
    state: Literal["acknowledged", "resolved"]
