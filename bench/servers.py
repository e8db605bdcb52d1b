"""The servers that ours is compared with in `bench/serving.py`."""

import os
from pathlib import Path
from typing import Any

import pandas as pd
from fastapi import FastAPI, Response

from salescast.registry import read_model
from salescast.settings import read_settings


def frames() -> FastAPI:
    """Return what a tutorial would write: rows as JSON, a DataFrame, the model, JSON."""
    payload = read_model(read_settings().build / "served.skops")
    model, contract = payload["model"], payload["contract"]
    app = FastAPI()

    @app.post("/forecasts")
    def forecast(asked: dict[str, Any]) -> list[dict[str, Any]]:
        sent = asked["dataframe_split"]
        rows = pd.DataFrame(sent["data"], columns=sent["columns"])
        for name in ("origin", "date", "issued_at"):
            rows[name] = pd.to_datetime(rows[name]).astype("datetime64[us]")
        predictions = forecast(model, rows, contract["quantiles"], contract["critical"])
        plain: list[dict[str, Any]] = (
            predictions.astype(object).where(predictions.notna(), None).to_dict("records")
        )
        return plain

    return app


def constant() -> FastAPI:
    """Return the ceiling: our answer, as bytes that are there already."""
    body = Path(os.environ["BENCH_ANSWER"]).read_bytes()
    app = FastAPI()

    @app.post("/v1/forecasts")
    async def answer() -> Response:
        return Response(body, media_type="application/json")

    return app
