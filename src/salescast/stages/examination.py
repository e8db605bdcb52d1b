"""What the gate looks at, gathered: scores, twins, and experiments on the model itself."""

import dataclasses
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from salescast.contract.schema import Tables, last_day
from salescast.data.files import present, read_frame, read_json
from salescast.evaluation.backtest import CHALLENGER, served_by
from salescast.evaluation.controls import differing, future_poison, twins
from salescast.evaluation.gate import Evidence, Measured, Policy
from salescast.features import point_in_time as feature
from salescast.features.point_in_time import KEYS
from salescast.models.forecaster import from_payload, predict
from salescast.registry import Registry, Version, read_model
from salescast.settings import Settings
from salescast.stages.training import recipe, scored

TWIN_ORIGINS = 13  # the newest, served by one fit: twins are made for the gate alone
REFIT_ORIGINS = 4  # the newest, at which the refit is compared with the judged fit
WEEK = 7  # days: where origins lie closer, days are compared, a week of which hangs together
TIMINGS = 5  # the fastest counts: a busy machine is no slow model


def policy(settings: Settings) -> Policy:
    """Return the bounds of the configuration."""
    plan = settings.backtest
    overlap = -(-settings.forecast.horizon // plan.every_days)
    unit, block = ("origin", overlap) if plan.every_days >= WEEK else ("date", WEEK)
    asked = {each.name for each in dataclasses.fields(Policy)}
    bounds = settings.gate.model_dump(include=asked)
    return Policy(**bounds, unit=unit, block=block, seed=settings.model.seed)


def gather(
    settings: Settings,
    registry: Registry,
    tables: Tables,
    versions: tuple[Version, Version | None],
) -> Evidence:
    """Return the evidence on `versions` = (challenger, champion, None where there is no other)."""
    challenger, champion = versions
    rows = read_frame(settings.build / "features.parquet", "features")
    predictions = read_frame(settings.build / "predictions.parquet", "backtest")
    tested = sorted(pd.Timestamp(origin) for origin in predictions["origin"].unique())
    found = [predictions, _twins(settings, tables, rows, tested)]
    served = None if champion is None else _served(settings, registry, champion, tables, tested)
    return Evidence(
        scored(tables, pd.concat(found, ignore_index=True)),
        None if served is None else scored(tables, served),
        read_json(settings.build / "quality.json", "validate")["status"],
        _told(rows[rows["origin"].isin(tested)]),
        _measured(settings, tables, rows, predictions, registry.model(challenger)),
    )


def _told(rows: pd.DataFrame) -> str:
    if rows["rain_mm"].isna().all():
        return "none"
    return "issued" if rows["issued_at"].notna().any() else "climatology"


def _twins(
    settings: Settings, tables: Tables, rows: pd.DataFrame, tested: Sequence[pd.Timestamp]
) -> pd.DataFrame:
    last = tested[-TWIN_ORIGINS:]
    happened, came = (feature.past(tables, day) for day in (last[0], last_day(tables)))
    return twins(rows, happened, came, last, recipe(settings, tables))


def _served(
    settings: Settings,
    registry: Registry,
    champion: Version,
    tables: Tables,
    tested: Sequence[pd.Timestamp],
) -> pd.DataFrame:
    """Return the champion out of sample: its own backtest, then itself on later origins."""
    past = pd.read_parquet(registry.artifact(champion, "predictions.parquet"))
    past = past[(past["model"] == CHALLENGER) & past["origin"].isin(tested)]
    payload = registry.model(champion)
    contract = payload["contract"]
    later = [origin for origin in tested if origin >= pd.Timestamp(contract["origin"])]
    if not later:
        return past
    rows = feature.build(tables, later, settings.forecast.horizon, contract["weather"])
    fresh = served_by(from_payload(payload["model"]), rows, recipe(settings, tables), CHALLENGER)
    return pd.concat([past, fresh], ignore_index=True)


def _measured(
    settings: Settings,
    tables: Tables,
    rows: pd.DataFrame,
    predictions: pd.DataFrame,
    payload: dict[str, Any],
) -> Measured:
    """Return what is measured on the registry's copy of the model, at sampled origins."""
    path = present(settings.build / "model.skops", "train")
    judged = predictions[predictions["model"] == CHALLENGER]
    tested = [pd.Timestamp(origin) for origin in np.sort(judged["origin"].unique())]
    until = str(payload["model"]["trained_until"])
    last = judged[judged["origin"].isin(tested[-REFIT_ORIGINS:])]
    batch = partial(_forecast, read_model(path, trusted=settings.model.trusted_types))
    return Measured(
        poisoned=future_poison(partial(_asked, payload), tables, [tested[0], tested[-1]]),
        skewed=max(
            differing(
                _forecast(payload, _built(payload, tables, origin)), batch(_at(rows, [origin]))
            )
            for origin in (tested[0], pd.Timestamp(payload["contract"]["origin"]))
        ),
        refit=_apart(last, _forecast(payload, _at(rows, tested[-REFIT_ORIGINS:]))),
        trained_until=until,
        stale_days=float((last_day(tables) - pd.Timestamp(until)).days),
        model_mb=path.stat().st_size / 1e6,
        rows_per_second=_speed(payload, rows),
    )


def _at(rows: pd.DataFrame, origins: Sequence[pd.Timestamp]) -> pd.DataFrame:
    return rows[rows["origin"].isin(origins)].reset_index(drop=True)


def _built(payload: dict[str, Any], tables: Tables, origin: pd.Timestamp) -> pd.DataFrame:
    contract = payload["contract"]
    return feature.build(tables, [origin], contract["horizon"], contract["weather"])


def _forecast(payload: dict[str, Any], rows: pd.DataFrame) -> pd.DataFrame:
    contract = payload["contract"]
    model = from_payload(payload["model"])
    return predict(model, rows, contract["quantiles"], contract["critical"])


def _asked(payload: dict[str, Any], tables: Tables, origin: pd.Timestamp) -> list[pd.DataFrame]:
    """Return what a fit at `origin` would learn from, and the forecast made there."""
    return [feature.past(tables, origin), _forecast(payload, _built(payload, tables, origin))]


def _apart(judged: pd.DataFrame, refit: pd.DataFrame) -> float:
    """Return Σ|mean − mean of the judged fit| ÷ Σ mean of the judged fit."""
    both = judged[[*KEYS, "mean"]].merge(refit[[*KEYS, "mean"]], on=[*KEYS], suffixes=("", "_now"))
    return float((both["mean_now"] - both["mean"]).abs().sum() / both["mean"].sum())


def _speed(payload: dict[str, Any], rows: pd.DataFrame) -> float:
    """Return how many rows a second the model forecasts, asked for one series at a time."""
    one = rows.iloc[: payload["contract"]["horizon"]]
    seconds = []
    for _ in range(TIMINGS):
        start = time.perf_counter()
        _forecast(payload, one)
        seconds.append(time.perf_counter() - start)
    return len(one) / max(min(seconds), 1e-9)
