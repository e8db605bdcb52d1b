"""The champion and how accurate it is."""

import json
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from api.dependencies import CurrentSnapshot
from api.openapi import problems
from api.schemas import ModelInfo, Scorecard
from salescast.errors import DataQualityError

router = APIRouter(prefix="/v1", tags=["model"], responses=problems(503))


@router.get("/model", response_model=ModelInfo)
async def describe_model(snapshot: CurrentSnapshot) -> dict[str, Any]:
    """Describe the champion: version, lineage, horizon and quantile levels."""
    return {**snapshot.provenance, **snapshot.model}


@router.get("/scorecard", response_model=Scorecard)
async def show_scorecard(request: Request, snapshot: CurrentSnapshot) -> dict[str, Any]:
    """Return the accuracy of the forecasts: in the backtest, and live so far.

    `live` is the result of the last `salescast monitor`.
    """
    path = request.app.state.settings.build / "monitoring.json"
    live = await run_in_threadpool(_live_scores, path)
    return {**snapshot.provenance, "backtest": snapshot.inputs.scorecard, "live": live}


def _live_scores(path: Path) -> dict[str, Any]:
    try:
        scores: dict[str, Any] = json.loads(path.read_text("utf-8"))["live"]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError) as error:
        raise DataQualityError(f"{path}: damaged ({error}); run `salescast monitor`") from error
    return scores
