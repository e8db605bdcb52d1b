"""Who sells what, where and from when: the fixed parameters of the simulated retailer."""

from dataclasses import dataclass

import pandas as pd

START = pd.Timestamp("2022-01-03")
EMBEDDED_END = pd.Timestamp("2024-12-29")
LEADS = 15  # an issue speaks of its own day and the 14 days after it
SIZES = {"small": (3, 3, 2), "demo": (6, 4, 6)}  # cities, stores in each, items


@dataclass(frozen=True)
class City:
    """A city and its climate: chance of rain in winter and summer, rain gamma, temperature."""

    location_id: str
    latitude: float
    longitude: float
    timezone: str
    country: str
    wet_winter: float
    wet_summer: float
    rain_shape: float
    rain_scale: float
    temp_mean: float
    temp_swing: float
    temp_sd: float


@dataclass(frozen=True)
class Item:
    """An umbrella: how it sells (see demand.py) and what it costs."""

    item_id: str
    name: str
    base: float
    wet: float
    amount: float
    warmth: float
    elasticity: float
    promo: float
    dispersion: float
    price: float
    cost: float
    holding: float
    goodwill: float
    pack: int

    @property
    def critical_ratio(self) -> float:
        """Underage / (underage + overage), for one unit and one day."""
        underage = self.price - self.cost + self.goodwill
        return underage / (underage + self.holding)


@dataclass(frozen=True)
class Store:
    """A store; `number` counts within its city and decides what kind of store it is."""

    city: City
    number: int
    opened_on: pd.Timestamp = START

    @property
    def store_id(self) -> str:
        """The name of the store, for example `london-1`."""
        return f"{self.city.location_id}-{self.number}"

    @property
    def sensitivity(self) -> float:
        """Mean rain sensitivity: every second of four stores is for commuters, third, tourists."""
        return (0.0, 1.0, 1.2, 0.8)[self.number % 4] or 1.0


CITIES = (
    City("london", 51.5074, -0.1278, "Europe/London", "GB", 0.36, 0.27, 1.0, 4.4, 11.9, 7.0, 2.9),
    City(
        "seattle", 47.6062, -122.3321, "America/Los_Angeles", "US",
        0.52, 0.13, 1.0, 7.6, 12.3, 7.5, 2.9,
    ),
    City("glasgow", 55.8642, -4.2518, "Europe/London", "GB", 0.55, 0.40, 0.95, 5.6, 9.3, 6.2, 2.8),
    City(
        "manchester", 53.4808, -2.2426, "Europe/London", "GB",
        0.45, 0.35, 0.95, 4.8, 10.2, 6.5, 2.8,
    ),
    City(
        "chicago", 41.8781, -87.6298, "America/Chicago", "US",
        0.24, 0.29, 0.8, 9.8, 10.8, 12.5, 4.3,
    ),
    City("lyon", 45.7640, 4.8357, "Europe/Paris", "FR", 0.27, 0.25, 0.85, 9.5, 12.5, 8.6, 3.3),
)  # fmt: skip

# Holding and goodwill are assumptions, chosen so that critical ratios lie in .83–.86.
ITEMS = (
    Item("u1", "Classic stick", 6.0, 0.75, 0.22, -0.03, -1.8, 0.35, 4.0, 12, 4.8, 1.7, 2.0, 4),
    Item("u2", "Folding mini", 3.2, 0.55, 0.20, -0.02, -1.4, 0.30, 3.0, 19, 7.0, 2.7, 3.0, 2),
    Item("u3", "Storm proof", 2.0, 0.45, 0.15, -0.01, -1.2, 0.25, 2.5, 29, 11.0, 4.2, 4.0, 1),
    Item("u4", "Pocket basic", 8.0, 0.95, 0.28, -0.04, -2.2, 0.45, 5.0, 8, 3.2, 1.1, 1.2, 6),
    Item("u5", "Walnut handle", 1.2, 0.35, 0.12, 0.0, -1.0, 0.20, 2.0, 39, 14.0, 6.0, 5.0, 1),
    Item("u6", "Clear dome", 4.0, 0.65, 0.18, -0.02, -1.6, 0.30, 3.0, 15, 5.5, 2.0, 2.5, 2),
)


def closed(days: pd.DatetimeIndex) -> "pd.Series[bool]":
    """Return which days no store opens: 25 December and 1 January."""
    return ((days.month == 12) & (days.day == 25)) | ((days.month == 1) & (days.day == 1))
