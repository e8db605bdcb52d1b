"""Experiments on a challenger: a poisoned future, and perfect foresight of the weather.

A model that reads nothing of the future forecasts the same whatever the future holds. One with the
observed weather shows the most that knowing the weather could save.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from salescast.contract import schema
from salescast.contract.schema import TABLES, Tables
from salescast.evaluation.backtest import Recipe, served_by
from salescast.features.point_in_time import DRIVERS
from salescast.models import make

FORESIGHTED = "foresighted"
PLACE = ["location_id", "date"]
CORRECTED_DAYS = 60  # rows of these days before the origin get garbage corrections after it

Forecast = Callable[[Tables, pd.Timestamp], Sequence[pd.DataFrame]]


def poisoned(tables: Tables, origin: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """Return the tables with garbage in every row that became known after the close of `origin`.

    Rows of the last CORRECTED_DAYS that were known before get a garbage correction as well.
    """
    return {name: _poisoned(name, rows, origin) for name, rows in tables.items()}


def _poisoned(table: str, rows: pd.DataFrame, origin: pd.Timestamp) -> pd.DataFrame:
    contract, close = TABLES[table], schema.close_of(origin)
    late = rows[contract.known_at] >= close
    recent = ~late & (rows[contract.known_at] >= close - pd.Timedelta(days=CORRECTED_DAYS))
    garbage = pd.concat([rows[late], rows[recent].assign(**{contract.known_at: close})])
    for column in contract.columns:
        values = garbage[column.name]
        if column.kind in {"count", "number"}:
            garbage[column.name] = values * 7 + 13
        elif column.kind == "flag":
            garbage[column.name] = ~values
    return pd.concat([rows[~late], garbage], ignore_index=True)


def future_poison(forecast: Forecast, tables: Tables, origins: Sequence[pd.Timestamp]) -> float:
    """Return the share of rows that change when the future is garbage, at the worst origin.

    `forecast(tables, origin)` returns the outcomes to learn from and the forecasts made there.
    """
    shares = [
        differing(clean, dirty)
        for origin in origins
        for clean, dirty in zip(
            forecast(tables, origin), forecast(poisoned(tables, origin), origin), strict=True
        )
    ]
    return max(shares)


def differing(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Return the share of rows that differ in any bit; 1 if the frames have different shapes."""
    if one.shape != other.shape or list(one) != list(other):
        return 1.0
    same = np.ones(len(one), dtype=bool)
    for name in one:
        a, b = one[name].to_numpy(), other[name].to_numpy()
        same &= (a == b) | (pd.isna(a) & pd.isna(b))
    return float(1.0 - same.mean()) if len(one) else 0.0


def foresighted(rows: pd.DataFrame, happened: pd.DataFrame) -> pd.DataFrame:
    """Return feature rows with the observed weather (`point_in_time.past`) as a certainty.

    A leak, for comparison only. Days whose weather is not observed yet keep their issue.
    """
    observed = happened.drop_duplicates(PLACE)[[*PLACE, *DRIVERS]]
    observed = rows[PLACE].merge(observed, on=PLACE, how="left").set_index(rows.index)
    weather = {name: observed[name].fillna(rows[name]) for name in DRIVERS}
    # Rows without a day of issue are not calibrated: the weather is taken as it stands.
    never = pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us]")
    return rows.assign(**weather, issued_at=never)


def twins(
    rows: pd.DataFrame,
    happened: pd.DataFrame,
    observed: pd.DataFrame,
    origins: Sequence[pd.Timestamp],
    recipe: Recipe,
) -> pd.DataFrame:
    """Return the forecasts of the foresighted twin, fitted once before `origins`.

    `happened`: `features.past` as known at the first origin; `observed`: as known today. Empty
    where no weather is issued.
    """
    known, served = rows[rows["origin"] < origins[0]], rows[rows["origin"].isin(origins)]
    if served["issued_at"].isna().all():
        return pd.DataFrame()
    known = foresighted(known, happened)
    model = make(recipe.kind, recipe.params, recipe.seed).fit(known, happened)
    return served_by(model, foresighted(served, observed), recipe, FORESIGHTED)
