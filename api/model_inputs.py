"""What a snapshot keeps besides its forecasts: the model's inputs and the past of each series."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.contract import schema
from salescast.contract.schema import Tables
from salescast.models.forecaster import Forecaster
from salescast.release.issuing import SERIES

Key = tuple[str, str]  # store_id, item_id
HISTORY_DAYS = 400  # a year, and the same weeks of the year before
PAST_RAIN_DAYS = 5  # the longest dry spell that the features count
DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class ModelInputs:
    """The champion, its feature rows at the origin and the past, for what-ifs and history.

    `rows`: feature rows, `horizon` rows for each series; `first_row` of each series in them;
    `past_rain`: mm of the days up to the origin, (series, PAST_RAIN_DAYS). `past`: sales and
    weather, one row per series and day; `past_rows` of each series in it. `contract` and
    `scorecard` are those of the release.
    """

    model: Forecaster
    contract: Mapping[str, Any]
    scorecard: Mapping[str, Any]
    rows: pd.DataFrame
    first_row: Mapping[Key, int]
    past_rain: NDArray[np.float64]
    past: pd.DataFrame
    past_rows: Mapping[Key, NDArray[np.int64]]


def model_inputs(
    model: Forecaster,
    rows: pd.DataFrame,
    tables: Tables,
    contract: Mapping[str, Any],
    scorecard: Mapping[str, Any],
) -> ModelInputs:
    """Return the inputs of the forecasts that `model` makes from the feature `rows`."""
    origin, horizon = rows["origin"].iloc[0], int(contract["horizon"])
    past = _past(tables, origin)
    first_rows = rows.iloc[::horizon]
    keys = zip(*(first_rows[name] for name in SERIES), strict=True)
    return ModelInputs(
        model,
        contract,
        scorecard,
        rows.reset_index(drop=True),
        {key: place * horizon for place, key in enumerate(keys)},
        _past_rain(tables, first_rows["location_id"], origin),
        past,
        past.groupby([*SERIES], sort=False).indices,
    )


def _observed(tables: Tables, since: pd.Timestamp) -> pd.DataFrame:
    observed = tables["weather_observed"]
    return schema.latest("weather_observed", observed[observed["date"] >= since])


def _past_rain(tables: Tables, places: pd.Series, origin: pd.Timestamp) -> NDArray[np.float64]:
    days = pd.date_range(end=origin, periods=PAST_RAIN_DAYS)
    rain = _observed(tables, days[0])
    by_place = rain.pivot_table(index="location_id", columns="date", values="precip_mm")
    values: NDArray[np.float64] = (
        by_place.reindex(index=places, columns=days).fillna(0.0).to_numpy()
    )
    return values


def _past(tables: Tables, origin: pd.Timestamp) -> pd.DataFrame:
    since = origin - (HISTORY_DAYS - 1) * DAY
    sales = schema.latest("sales", tables["sales"][tables["sales"]["date"] >= since])
    stores = schema.latest("stores", tables["stores"])[["store_id", "location_id"]]
    weather = _observed(tables, since)[["location_id", "date", "precip_mm", "temp_c"]]
    past = sales.drop(columns="recorded_at").merge(stores, on="store_id")
    return past.merge(weather, on=["location_id", "date"], how="left")
