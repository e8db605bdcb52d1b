"""Outcomes: what was sold, as the caller reports it."""

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool

from api.dependencies import (
    CurrentLedger,
    CurrentSnapshot,
    StrictRoute,
    refuse,
    require_json,
    require_known,
)
from api.openapi import problems
from api.schemas import OutcomesRequest, Recorded

router = APIRouter(
    prefix="/v1", route_class=StrictRoute, tags=["outcomes"], responses=problems(404, 503)
)
FIRST = date(1990, 1, 1)


@router.post("/outcomes", response_model=Recorded, dependencies=[Depends(require_json)])
async def record_outcomes(
    body: OutcomesRequest, snapshot: CurrentSnapshot, ledger: CurrentLedger
) -> dict[str, Any]:
    """Record units sold for the live scorecard: all or nothing.

    Sending the same outcomes again changes nothing. Another number for the same day is a
    correction: the ledger keeps both, and the later one counts.
    """
    require_known(snapshot, [(one.store_id, one.item_id) for one in body.outcomes])
    rows = _checked(body)
    now = datetime.now(UTC).replace(tzinfo=None)
    recorded = await run_in_threadpool(ledger.report_outcomes, rows, now)
    unchanged = len(rows) - recorded
    return {**snapshot.provenance, "recorded": recorded, "unchanged": unchanged}


def _checked(body: OutcomesRequest) -> pd.DataFrame:
    """Return the outcomes as a frame; raise RequestValidationError for an impossible date."""
    today, errors, seen = datetime.now(UTC).date(), [], set()
    for position, one in enumerate(body.outcomes):
        key = one.store_id, one.item_id, one.date
        message = (
            "This series and day are repeated" if key in seen else _date_error(one.date, today)
        )
        if message:
            place = ("body", "outcomes", position, "date")
            errors.append({"loc": place, "msg": message, "type": "date"})
        seen.add(key)
    refuse(errors)
    rows = pd.DataFrame([one.model_dump() for one in body.outcomes])
    return rows.astype({"date": "datetime64[us]", "sold_out": "boolean"})


def _date_error(text: str, today: date) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return "There is no such day"
    return "" if FIRST <= day <= today else f"The day must be between {FIRST} and today"
