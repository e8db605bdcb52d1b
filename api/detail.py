"""What stands beside the forecasts: the past of each series, and the model to imagine with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.contract import schema
from salescast.contract.schema import Tables
from salescast.models.forecaster import Model
from salescast.release.issuing import SERIES

Key = tuple[str, str]

HISTORY_DAYS = 400  # kept of each series: a year and the same weeks before
PAST_RAIN_DAYS = 5  # before the origin: as far as a dry spell looks back
DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Detail:
    """The past and the model of one snapshot; never changed.

    `past`: sales of the last days with the weather that came, a row per series and day, and
    `place` of each series in it. `rows`: feature rows at the origin, `horizon` a series, and
    `first` row of each. `rain`: mm of the five days before each series' first day. `scorecard`:
    the champion's backtest, as its stage wrote it.
    """

    past: pd.DataFrame
    place: Mapping[Key, NDArray[np.int64]]
    model: Model
    rows: pd.DataFrame
    first: Mapping[Key, int]
    rain: NDArray[np.float64]
    contract: Mapping[str, Any]
    scorecard: Mapping[str, Any]


def describe(
    model: Model,
    rows: pd.DataFrame,
    tables: Tables,
    contract: Mapping[str, Any],
    scorecard: Mapping[str, Any],
) -> Detail:
    """Return what stands beside the forecasts that `model` makes of the feature `rows`."""
    origin, horizon = rows["origin"].iloc[0], int(contract["horizon"])
    rain = _weather(tables, origin - (PAST_RAIN_DAYS - 1) * DAY)
    past = _past(tables, origin)
    heads = rows.iloc[::horizon]
    return Detail(
        past,
        past.groupby([*SERIES], sort=False).indices,
        model,
        rows.reset_index(drop=True),
        {key: at * horizon for at, key in enumerate(zip(*_keys(heads), strict=True))},
        _recent(rain, heads["location_id"], origin),
        contract,
        scorecard,
    )


def _keys(rows: pd.DataFrame) -> list[list[str]]:
    return [rows[name].tolist() for name in SERIES]


def _weather(tables: Tables, since: pd.Timestamp) -> pd.DataFrame:
    observed = tables["weather_observed"]
    return schema.latest("weather_observed", observed[observed["date"] >= since])


def _recent(rain: pd.DataFrame, places: pd.Series, origin: pd.Timestamp) -> NDArray[np.float64]:
    wide = rain.pivot_table(index="location_id", columns="date", values="precip_mm")
    days = pd.date_range(end=origin, periods=PAST_RAIN_DAYS)
    recent: NDArray[np.float64] = wide.reindex(index=places, columns=days).fillna(0.0).to_numpy()
    return recent


def _past(tables: Tables, origin: pd.Timestamp) -> pd.DataFrame:
    since = origin - (HISTORY_DAYS - 1) * DAY
    sales = schema.latest("sales", tables["sales"][tables["sales"]["date"] >= since])
    stores = schema.latest("stores", tables["stores"])[["store_id", "location_id"]]
    weather = _weather(tables, since)[["location_id", "date", "precip_mm", "temp_c"]]
    past = sales.drop(columns="recorded_at").merge(stores, on="store_id")
    return past.merge(weather, on=["location_id", "date"], how="left")
