"""Why a forecast is what it is: what each cause adds in units."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.features.drivers import SPELL_DAYS, STORM_DAYS, storm_chance
from salescast.models.forecaster import Model, distribution

Floats = NDArray[np.float64]

CAUSES = ("usual", "calendar", "price", "weather")


def contributions(model: Model, rows: pd.DataFrame) -> pd.DataFrame:
    """Return units each cause adds to the mean, columns `CAUSES`, rows as given; they sum to it.

    `weather`: against the normal weather of the day; `price`: against list price without
    promotion; `calendar`: against the mean day of the horizon, which is `usual`. `rows` hold whole
    horizons (`features.build`).
    """
    said = _mean(model, rows)
    normal = normal_weather(rows)
    without_weather = _mean(model, normal)
    without_price = _mean(model, normal.assign(price_ratio=1.0, promo=0.0))
    series = rows.groupby(["store_id", "item_id", "origin"]).ngroup().to_numpy()
    usual = np.bincount(series, without_price) / np.bincount(series)
    parts = {
        "usual": usual[series],
        "calendar": without_price - usual[series],
        "price": without_weather - without_price,
        "weather": said - without_weather,
    }
    return pd.DataFrame(parts, index=rows.index)


def _mean(model: Model, rows: pd.DataFrame) -> Floats:
    weights, means, _ = distribution(model, rows)
    mean: Floats = (weights * means).sum(axis=1)
    return mean


def normal_weather(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows as if nobody had issued a forecast: climatology, also of the days before."""
    if rows["rain_probability"].isna().all():
        return rows
    chance, mm = rows["normal_probability"], rows["normal_mm"]
    calm = 1.0 - storm_chance(chance.to_numpy(), mm.to_numpy())
    return rows.assign(
        issued_at=pd.NaT,
        issue_age=np.nan,
        rain_probability=chance,
        rain_mm=mm,
        rain_revision=0.0,
        temp_anomaly=0.0,
        storm=1.0 - calm**STORM_DAYS,
        spell=(1.0 - chance) ** SPELL_DAYS,
    )
