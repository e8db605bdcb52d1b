"""Experiments on a challenger: a future that is garbage, outcomes shuffled, weather foreseen.

A model that is told nothing of the future forecasts the same however the future is poisoned; one
that learns from shuffled outcomes must be dearer; one that is told the weather that came says how
cheap a forecast could at most become by knowing it.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from salescast.contract import schema
from salescast.contract.schema import TABLES, Tables
from salescast.evaluation.backtest import Recipe, served_by
from salescast.features.point_in_time import DRIVERS
from salescast.models import make
from salescast.models.forecaster import Forecaster

FORESIGHTED, SHUFFLED = "foresighted", "shuffled"
PLACE = ["location_id", "date"]
CORRECTED_DAYS = 60  # so many days before the origin are corrected after it, with garbage

Ask = Callable[[Tables, pd.Timestamp], Sequence[pd.DataFrame]]


def poisoned(tables: Tables, origin: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """Return the tables with garbage in all that became known after the close of `origin`.

    What was known already of the last days is corrected after the close, with garbage, too.
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


def future_poison(ask: Ask, tables: Tables, origins: Sequence[pd.Timestamp]) -> float:
    """Return the share of rows that `ask` answers otherwise when the future is garbage.

    `ask(tables, origin)` returns what is learned from and what is forecast; the worst origin and
    frame count.
    """
    shares = [
        differing(clean, dirty)
        for origin in origins
        for clean, dirty in zip(
            ask(tables, origin), ask(poisoned(tables, origin), origin), strict=True
        )
    ]
    return max(shares)


def differing(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Return the share of rows that are not the same, bit for bit; 1 where they do not match."""
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


def shuffled(happened: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return what happened with its units dealt out anew among all series and days."""
    order = np.random.default_rng(seed).permutation(len(happened))
    dealt = {name: happened[name].to_numpy()[order] for name in ("units", "sold_out")}
    return happened.assign(**dealt)


def twins(
    rows: pd.DataFrame,
    happened: pd.DataFrame,
    came: pd.DataFrame,
    origins: Sequence[pd.Timestamp],
    recipe: Recipe,
) -> pd.DataFrame:
    """Return what twins of the recipe, fitted once before `origins`, would have served there.

    `happened`: `features.past` as known at the first origin; `came`: as known today. The
    foresighted one is left out where no weather is issued.
    """
    known, served = rows[rows["origin"] < origins[0]], rows[rows["origin"].isin(origins)]
    unlearned = _fit(recipe, known, shuffled(happened, recipe.seed))
    found = [served_by(unlearned, served, recipe, SHUFFLED)]
    if served["issued_at"].notna().any():
        seer = _fit(recipe, foresighted(known, happened), happened)
        found.append(served_by(seer, foresighted(served, came), recipe, FORESIGHTED))
    return pd.concat(found, ignore_index=True)


def _fit(recipe: Recipe, known: pd.DataFrame, happened: pd.DataFrame) -> Forecaster:
    return make(recipe.kind, recipe.params, recipe.seed).fit(known, happened)
