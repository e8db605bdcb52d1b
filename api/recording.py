"""What came true, as others report it."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError

from api import records
from api.deps import Books, Current, StrictRoute, json_only
from api.openapi import problems
from api.routes import check_known
from salescast.ledger.ledger import Ledger

v1 = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["outcomes"])
KEY = ["store_id", "item_id", "date"]
FIRST = date(1990, 1, 1)


@v1.post(
    "/outcomes",
    response_model=records.Recorded,
    responses=problems(400, 404, 413, 415, 422, 500, 503),
    dependencies=[Depends(json_only)],
)
async def record_outcomes(
    asked: records.OutcomesRequest, snapshot: Current, books: Books
) -> dict[str, Any]:
    """Record what was sold, for the live scorecard: all of it or nothing.

    What is known already is left alone, so a request may be repeated. Another number for a day
    that has one is a correction: both are kept, the later counts.
    """
    check_known(snapshot, [(one.store_id, one.item_id) for one in asked.outcomes])
    rows = _frame(asked)
    recorded = await run_in_threadpool(_record, books, rows)
    return {
        **snapshot.provenance,
        "recorded": recorded,
        "unchanged": len(asked.outcomes) - recorded,
    }


def _frame(asked: records.OutcomesRequest) -> pd.DataFrame:
    """Return the outcomes as a frame; raise RequestValidationError where a day cannot be."""
    today, wrong, seen = datetime.now(UTC).date(), [], set()
    for place, one in enumerate(asked.outcomes):
        message = _complaint(one.date, today)
        key = one.store_id, one.item_id, one.date
        if message or key in seen:
            found = message or "this series and day came before"
            wrong.append({"loc": ("body", "outcomes", place, "date"), "msg": found, "type": "date"})
        seen.add(key)
    if wrong:
        raise RequestValidationError(wrong)
    rows = pd.DataFrame([one.model_dump() for one in asked.outcomes])
    return rows.astype({"date": "datetime64[us]", "sold_out": "boolean"})


def _complaint(text: str, today: date) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return "there is no such day"
    return "" if FIRST <= day <= today else f"a day from {FIRST} to today was expected"


def _record(books: Ledger, rows: pd.DataFrame) -> int:
    known = books.outcomes(since=rows["date"].min(), until=rows["date"].max())
    known = rows[KEY].merge(known, on=KEY, how="left")
    same = (known["units"] == rows["units"]).to_numpy()
    flags = (known["sold_out"].astype("boolean"), rows["sold_out"])
    codes = [flag.astype("Float64").fillna(-1.0).to_numpy(float) for flag in flags]
    new = rows[~(same & np.equal(*codes))]
    now = datetime.now(UTC).replace(tzinfo=None)
    return books.record_outcomes(new.assign(recorded_at=pd.Timestamp(now).as_unit("us")))
