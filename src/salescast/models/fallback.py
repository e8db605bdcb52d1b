"""What a forecast does without: weather nobody recorded, and weather altogether.

A release carries the climatology of its places for when the history of weather is missing, and a
blind twin of its model for when even that does not help.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from salescast.contract.panel import day_numbers
from salescast.features import drivers
from salescast.models.explanation import normal_weather

YEAR = pd.date_range("2024-01-01", "2024-12-31")
"""A leap year: one row per day that there can be."""

Climatology = Mapping[str, Mapping[str, Sequence[float]]]


def climatology(observed: pd.DataFrame) -> dict[str, dict[str, list[float]]]:
    """Return per location_id what is normal on each day of a leap year.

    `observed`: the last known row per location and date. Lists of 366: `probability` of a wet
    day, `precip_mm`.
    """
    asked = day_numbers(YEAR).astype(float)
    found = {}
    for place, rows in observed.groupby("location_id"):
        mm, temp = (rows[name].to_numpy(float)[None, :] for name in ("precip_mm", "temp_c"))
        normal = drivers.climate(mm, temp, day_numbers(rows["date"]).astype(float), asked)
        found[str(place)] = {
            "probability": normal.probability[0].round(4).tolist(),
            "precip_mm": normal.precip_mm[0].round(4).tolist(),
        }
    return found


def fill_with_climatology(
    rows: pd.DataFrame, observed: set[str], normal: Climatology
) -> pd.DataFrame:
    """Return the rows with climatology where a place has no history of weather.

    `observed`: the places that have one; `normal`: see `climatology`. Days with an issue keep it.
    """
    place = rows["location_id"]
    unknown = (~place.isin(observed) & place.isin(normal.keys()) & rows["normal_mm"].notna()).array
    if not unknown.any():
        return rows
    lost = rows[unknown]
    day = lost["date"].dt.strftime("%m-%d").map({f"{d:%m-%d}": i for i, d in enumerate(YEAR)})
    pairs = list(zip(lost["location_id"], day, strict=True))
    lost = lost.assign(
        normal_probability=[normal[name]["probability"][at] for name, at in pairs],
        normal_mm=[normal[name]["precip_mm"][at] for name, at in pairs],
    )
    lost["wet_share"] = lost["normal_probability"]
    late = lost["issued_at"].isna().array
    lost = pd.concat([normal_weather(lost[late]), lost[~late]])
    return pd.concat([rows[~unknown], lost]).sort_index()


def lacks_weather(rows: pd.DataFrame, observed: set[str], normal: Climatology) -> pd.Series:
    """Tell, per row, whether nothing is known of its weather: no issue, history or climatology."""
    place = rows["location_id"]
    sighted = rows["normal_mm"].notna()
    return sighted & rows["issued_at"].isna() & ~place.isin(observed) & ~place.isin(normal.keys())
