"""The loader module that MLflow asks for in a registered model: it reads payloads our way."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from salescast.release.payload import read_model


class _Served:
    def __init__(self, payload: Mapping[str, Any]) -> None:
        self.model, self.contract = payload["model"], payload["contract"]

    def predict(self, rows: pd.DataFrame, _: Any = None) -> pd.DataFrame:
        from salescast.models.forecaster import forecast

        moments = rows.select_dtypes("datetime").columns
        rows = rows.astype(dict.fromkeys(moments, "datetime64[us]"))  # MLflow makes them [ns]
        return forecast(self.model, rows, self.contract["quantiles"], self.contract["critical"])


def _load_pyfunc(path: str) -> _Served:
    """Let `mlflow models serve` and `predict` use a registered model; MLflow asks for this name."""
    return _Served(read_model(Path(path)))
