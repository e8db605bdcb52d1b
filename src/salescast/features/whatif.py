"""Feature rows under other rain or another price."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.features.drivers import STORM_MM, WET_MM, chances_before, storm_chance

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class WhatIf:
    """Changes to the days ahead. `rain_mm` (mm) and `price` (of a unit) by lead time.

    `rain_factor` scales the issued chance and amount of rain alike, as if they had been issued so.
    `rain_mm` is certain: from `WET_MM` on the day is wet.
    """

    rain_factor: float = 1.0
    rain_mm: Mapping[int, float] = field(default_factory=dict)
    price: Mapping[int, float] = field(default_factory=dict)

    @property
    def changes_rain(self) -> bool:
        """Tell whether any day's rain differs from what was issued."""
        return self.rain_factor != 1.0 or bool(self.rain_mm)


def imagine(rows: pd.DataFrame, past_mm: Floats, what: WhatIf) -> pd.DataFrame:
    """Return the feature rows of one origin (`point_in_time.build`, whole horizons), changed.

    `past_mm`: rain of the five days up to the origin, (series, 5); with the changed days between,
    it gives the chances of a storm or a dry spell before each day.
    """
    leads = np.arange(1, int(rows["lead_time"].max()) + 1)
    changed = rows
    if what.changes_rain:
        changed = changed.assign(**_rain(rows, past_mm, what, leads))
        certain = rows["lead_time"].isin(list(what.rain_mm))
        # A row without an issue is not calibrated: certain rain is taken as it stands.
        changed["issued_at"] = rows["issued_at"].mask(certain)
    if what.price:
        price = _by_lead(what.price, leads)[rows["lead_time"].to_numpy() - 1]
        listed = (rows["price"] / rows["price_ratio"]).to_numpy()
        price = np.where(np.isnan(price), rows["price"].to_numpy(), price)
        changed = changed.assign(price=price, price_ratio=price / listed)
    return changed


def _by_lead(values: Mapping[int, float], leads: NDArray[np.int64]) -> Floats:
    return np.array([values.get(int(lead), np.nan) for lead in leads])


def _rain(
    rows: pd.DataFrame, past_mm: Floats, what: WhatIf, leads: NDArray[np.int64]
) -> dict[str, Floats]:
    issued = (
        rows[name].to_numpy(float).reshape(-1, len(leads))
        for name in ("rain_probability", "rain_mm")
    )
    chance, mm = (what.rain_factor * value for value in issued)
    certain = _by_lead(what.rain_mm, leads)
    given = ~np.isnan(certain)
    chance = np.where(given, certain >= WET_MM, np.minimum(chance, 1.0))
    mm = np.where(given, certain, mm)
    stormy = np.where(given, certain >= STORM_MM, storm_chance(chance, mm))
    storm, spell = chances_before(past_mm, chance, stormy, len(leads))
    columns = {"rain_probability": chance, "rain_mm": mm, "storm": storm, "spell": spell}
    return {name: values.ravel() for name, values in columns.items()}
