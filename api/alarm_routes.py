"""The alarms: list, acknowledge, resolve."""

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.concurrency import run_in_threadpool

from api.alarm_schemas import AlarmChange, Alarms, AlarmsQuery, AlarmState
from api.dependencies import CurrentLedger, StrictRoute, require_json
from api.openapi import problems
from salescast.ledger import alarm_handling

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["alarms"], responses=problems(503))
AlarmId = Annotated[str, Path(pattern=r"^[0-9a-f]{8}$", description="Id of the alarm.")]


@router.get("/alarms", response_model=Alarms)
async def list_alarms(
    query: Annotated[AlarmsQuery, Query()], ledger: CurrentLedger
) -> dict[str, Any]:
    """List the alarms that are open or acknowledged, or all of them."""
    rows = partial(alarm_handling.list_alarms, ledger, resolved=query.resolved == "true")
    return {"alarms": await run_in_threadpool(rows)}


@router.post(
    "/alarms/{alarm_id}/{change}",
    response_model=AlarmState,
    responses=problems(404),
    dependencies=[Depends(require_json)],
)
async def change_alarm(
    alarm_id: AlarmId,
    change: Literal["acknowledge", "resolve"],
    body: AlarmChange,
    ledger: CurrentLedger,
) -> dict[str, Any]:
    """Acknowledge an alarm, or resolve it; the ledger keeps who did it and why."""
    state = await run_in_threadpool(
        alarm_handling.change_alarm, ledger, alarm_id, change, body.person, body.reason
    )
    return {"alarm_id": alarm_id, "state": state}
