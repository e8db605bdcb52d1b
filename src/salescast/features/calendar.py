"""What the calendar says of a day: weekday, the weeks before Christmas, public holidays."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def calendar(dates: pd.DatetimeIndex) -> dict[str, Floats]:
    """Return weekday (Monday is 0) and `christmas` (1 on 10–24 December), shape (n,) each."""
    return {
        "weekday": dates.day_of_week.to_numpy(dtype=np.float64),
        "christmas": ((dates.month == 12) & (dates.day >= 10) & (dates.day <= 24)).astype(float),
    }


def public_holidays(countries: Sequence[str], dates: pd.DatetimeIndex) -> Floats:
    """Return 1 on each country's public holidays, else 0, shape (countries, dates).

    `countries` are ISO 3166 codes; one that the `holidays` library does not know has none.
    """
    days = dates.to_numpy().astype("datetime64[D]")
    years = range(int(dates.year.min()), int(dates.year.max()) + 1) if len(dates) else range(0)
    return np.array([np.isin(days, _holidays(c, tuple(years))) for c in countries], dtype=float)


@lru_cache(maxsize=1024)
def _holidays(country: str, years: tuple[int, ...]) -> NDArray[np.datetime64]:
    import holidays

    if country not in holidays.list_supported_countries():
        return np.array([], dtype="datetime64[D]")
    return np.array(sorted(holidays.country_holidays(country, years=years)), dtype="datetime64[D]")
