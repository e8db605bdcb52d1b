"""The normal weather of each place and day: for places without records, and to compare with."""

from collections.abc import Mapping, Sequence

import pandas as pd

from salescast.contract.panel import day_numbers
from salescast.features.drivers import SPELL_DAYS, STORM_DAYS, climate, storm_chance

YEAR = pd.date_range("2024-01-01", "2024-12-31")
"""A leap year: one row per day that there can be."""

Climatology = Mapping[str, Mapping[str, Sequence[float]]]


def climatology(observed: pd.DataFrame) -> dict[str, dict[str, list[float]]]:
    """Return per location_id what is normal on each day of a leap year.

    `observed`: the last known row per location and date. Lists of 366: `probability` of a wet
    day, `precip_mm`.
    """
    target = day_numbers(YEAR).astype(float)
    by_place = {}
    for place, rows in observed.groupby("location_id"):
        mm, temp = (rows[name].to_numpy(float)[None, :] for name in ("precip_mm", "temp_c"))
        normal = climate(mm, temp, day_numbers(rows["date"]).astype(float), target)
        by_place[str(place)] = {
            "probability": normal.probability[0].round(4).tolist(),
            "precip_mm": normal.precip_mm[0].round(4).tolist(),
        }
    return by_place


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
    filled = rows[unknown]
    day = filled["date"].dt.strftime("%m-%d").map({f"{d:%m-%d}": i for i, d in enumerate(YEAR)})
    pairs = list(zip(filled["location_id"], day, strict=True))
    chance = [normal[name]["probability"][at] for name, at in pairs]
    amount = [normal[name]["precip_mm"][at] for name, at in pairs]
    filled = filled.assign(normal_probability=chance, normal_mm=amount, wet_share=chance)
    unissued = filled["issued_at"].isna().array
    parts = [rows[~unknown], with_normal_weather(filled[unissued]), filled[~unissued]]
    return pd.concat(parts).sort_index()


def lacks_weather(rows: pd.DataFrame, observed: set[str], normal: Climatology) -> pd.Series:
    """Tell, per row, whether its weather is unknown: no issue, history or climatology."""
    place = rows["location_id"]
    expected = rows["normal_mm"].notna()  # the blind twin expects none
    return expected & rows["issued_at"].isna() & ~place.isin(observed) & ~place.isin(normal.keys())


def with_normal_weather(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows as if no weather had been issued: climatology, also of the days before."""
    if rows["rain_probability"].isna().all():
        return rows
    chance, mm = rows["normal_probability"], rows["normal_mm"]
    calm = 1.0 - storm_chance(chance.to_numpy(), mm.to_numpy())
    return rows.assign(
        issued_at=pd.NaT,
        rain_probability=chance,
        rain_mm=mm,
        temp_anomaly=0.0,
        storm=1.0 - calm**STORM_DAYS,
        spell=(1.0 - chance) ** SPELL_DAYS,
    )
