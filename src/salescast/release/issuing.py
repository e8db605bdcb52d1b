"""The forecast of a release: the same for batch and API, also where something is missing."""

import numpy as np
import pandas as pd

from salescast.contract.schema import Tables, last_day
from salescast.features import point_in_time
from salescast.models.fallback import fill_with_climatology, lacks_weather
from salescast.release.bundle import Bundle
from salescast.release.forecasts import SERIES, issue

BLIND = "blind_model"


Whole = tuple[pd.Timestamp, pd.DataFrame]
"""The last origin of a chain of which only some stores are here, and its `levels.chain_sales`."""


def issue_all(
    bundle: Bundle, tables: Tables, data_version: str, whole: Whole | None = None
) -> pd.DataFrame:
    """Return the forecasts of every series from the last origin, as `forecasts.issue` makes them.

    Where a place has no history of weather, the release's climatology stands in. Where that does
    not help either, or the model's numbers are not finite, the blind twin answers for the whole
    series, and its days are degraded by `blind_model`. `whole`: where `tables` are a part.
    """
    return issue_rows(bundle, feature_rows(bundle, tables, whole), tables, data_version)


def feature_rows(bundle: Bundle, tables: Tables, whole: Whole | None = None) -> pd.DataFrame:
    """Return what is known of the days after the last origin, for the release's model."""
    contract = bundle.contract
    origin, chain = whole or (last_day(tables), None)
    rows = point_in_time.build(tables, [origin], contract["horizon"], contract["weather"], chain)
    return fill_with_climatology(rows, _observed(tables), bundle.climatology)


def issue_rows(
    bundle: Bundle, rows: pd.DataFrame, tables: Tables, data_version: str
) -> pd.DataFrame:
    """Return the forecasts of `feature_rows`; see `issue_all`."""
    contract = bundle.contract
    observed = _observed(tables)
    ask = contract["quantiles"], contract["critical"], (bundle.version, data_version)
    made = issue(bundle.model, rows, *ask)
    lost = ~_finite(made) | lacks_weather(rows, observed, bundle.climatology).to_numpy()
    if not lost.any():
        return made
    series = _whole(rows, lost)
    twin = issue(bundle.fallback, point_in_time.without_weather(rows[series]), *ask)
    twin["degraded"] = [[*reasons, BLIND] for reasons in twin["degraded"]]
    return pd.concat([made[~series], twin.set_index(made.index[series])]).sort_index()


def _observed(tables: Tables) -> set[str]:
    return set(tables["weather_observed"]["location_id"].unique())


def _finite(made: pd.DataFrame) -> np.ndarray:
    numbers = [name for name in made if made[name].dtype == np.float64]
    finite: np.ndarray = np.isfinite(made[numbers]).all(axis=1).to_numpy()
    return finite


def _whole(rows: pd.DataFrame, lost: np.ndarray) -> np.ndarray:
    """Return `lost`, spread over every day of its series."""
    keys = [rows[name] for name in SERIES]
    spread: np.ndarray = pd.Series(lost, rows.index).groupby(keys).transform("any").to_numpy()
    return spread
