"""What customers want: negative binomial around a rate, Var = λ + λ²/k.

With k_j per item, for store i and item j:

    log λ = log b_j + a_i + a_ij + trend_i·years + dow_i + season + December + η_j log(price/ref)
          + δ_j·promo + s_i·f_j(rain) + κ_j (T − climatology)
    f_j   = wet·(β_j + γ_j log(1 + min(mm, 15)))·(1 + .25·weekend)
          + .20·(≥ 12 mm on one of the last 3 days) + .25·wet·(≥ 5 dry days before)

Demand never depends on stock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from godatamarkets.catalogue import START, City, Item, Store, closed
from godatamarkets.faults import Fault
from godatamarkets.randomness import Floats, normals, uniforms
from godatamarkets.weather import HISTORY, Weather

Counts = NDArray[np.int64]

WEEKDAYS = np.array([-0.15, -0.12, -0.08, 0.0, 0.15, 0.35, -0.10])  # Monday first
PROMO_SHARE, PROMO_PRICE = 0.10, 0.8
WET_MM, SATURATION_MM, STORM_MM = 1.0, 15.0, 12.0


@dataclass(frozen=True)
class Series:
    """All store × item pairs in order of store and item; arrays hold one value per series."""

    stores: tuple[Store, ...]
    cities: tuple[City, ...]
    items: tuple[Item, ...]
    store: Counts
    city: Counts
    item: Counts

    @property
    def names(self) -> list[tuple[str, str]]:
        """Return (store_id, item_id) of each series."""
        return [(s.store_id, i.item_id) for s in self.stores for i in self.items]

    def of_item(self, name: str) -> Floats:
        """Return an item's parameter, one value per series."""
        values: Floats = np.array([float(getattr(i, name)) for i in self.items])[self.item]
        return values


@dataclass(frozen=True)
class Demand:
    """True demand and what shapes it, arrays of shape (series, days).

    `calendar` is the part of log λ that weather does not touch; `response` the factors of
    `signals` and of the temperature anomaly: shape (5, series, days).
    """

    trading: NDArray[np.bool_]
    price: Floats
    promo: NDArray[np.bool_]
    calendar: Floats
    response: Floats
    rate: Floats
    units: Counts


def make_series(cities: Sequence[City], stores: Sequence[Store], items: Sequence[Item]) -> Series:
    """Return every store × item."""
    where = np.array([[c.location_id for c in cities].index(s.city.location_id) for s in stores])
    store, item = np.divmod(np.arange(len(stores) * len(items)), len(items))
    return Series(tuple(stores), tuple(cities), tuple(items), store, where[store], item)


def signals(precip: Floats, weekend: NDArray[np.bool_]) -> Floats:
    """Return what rain (…, HISTORY + days) says to customers: shape (4, …, days).

    Rain, its amount (both stronger at weekends), a storm lately, rain after a dry spell.
    """
    days = precip.shape[-1] - HISTORY
    today = precip[..., HISTORY:]
    wet = today >= WET_MM
    before = [precip[..., HISTORY - back : HISTORY - back + days] for back in range(1, HISTORY + 1)]
    storm = np.maximum.reduce(before[:3]) >= STORM_MM
    dry = np.maximum.reduce(before) < WET_MM
    shout = wet * (1 + 0.25 * weekend)
    return np.stack(
        [shout, shout * np.log1p(np.minimum(today, SATURATION_MM)), 0.2 * storm, 0.25 * (wet & dry)]
    )


def simulate(
    seed: int, series: Series, weather: Weather, days: int, faults: Sequence[Fault]
) -> Demand:
    """Return the demand of every series on the first `days` days."""
    dates = pd.date_range(START, periods=days)
    opened = np.array([s.opened_on for s in series.stores], dtype="datetime64[us]")[series.store]
    trading = (dates.to_numpy() >= opened[:, None]) & ~np.asarray(closed(dates))
    promo = _promo(seed, series, days)
    calendar = _calendar(seed, series, dates) + _offer(series, promo)
    calendar += _rivals(series, dates, faults)
    response = _response(seed, series, dates, faults)
    rain = signals(weather.precip, dates.day_of_week.to_numpy() >= 5)
    warmth = weather.temp - weather.climate.temp[:, HISTORY : HISTORY + days]
    drivers = np.concatenate([rain, warmth[None]])[:, series.city]
    rate = np.where(trading, np.exp(calendar + (response * drivers).sum(axis=0)), 0.0)
    chance = np.stack([uniforms(seed, "demand", "|".join(name), days) for name in series.names])
    units = negative_binomial(chance, rate, series.of_item("dispersion")[:, None])
    price = np.round(series.of_item("price")[:, None] * np.where(promo, PROMO_PRICE, 1.0), 2)
    return Demand(trading, price, promo, calendar, response, rate, units)


def _calendar(seed: int, series: Series, dates: pd.DatetimeIndex) -> Floats:
    effects = np.stack([normals(seed, "store", s.store_id, 16) for s in series.stores])
    pairs = np.array([normals(seed, "series", "|".join(name), 1)[0] for name in series.names])
    years = np.arange(len(dates)) / 365.25
    weekday = (WEEKDAYS + 0.05 * effects[:, 3:10])[:, dates.day_of_week]
    store = 0.35 * effects[:, [0]] + 0.04 * effects[:, [1]] * years + weekday
    season = 0.12 * np.cos(2 * np.pi * (dates.day_of_year.to_numpy() - 300) / 365.25)
    gifts = 0.45 * ((dates.month == 12) & (dates.day >= 10) & (dates.day <= 24))
    level = np.log(series.of_item("base")) + 0.15 * pairs
    return np.asarray(level[:, None] + store[series.store] + season + gifts)


def _promo(seed: int, series: Series, days: int) -> NDArray[np.bool_]:
    weeks = -(-days // 7)  # START is a Monday
    chance = np.stack([uniforms(seed, "promo", "|".join(name), weeks) for name in series.names])
    return np.asarray(np.repeat(chance < PROMO_SHARE, 7, axis=1)[:, :days])


def _offer(series: Series, promo: NDArray[np.bool_]) -> Floats:
    lift = series.of_item("elasticity") * np.log(PROMO_PRICE) + series.of_item("promo")
    return np.asarray(lift[:, None] * promo)


def _rivals(series: Series, dates: pd.DatetimeIndex, faults: Sequence[Fault]) -> Floats:
    lost = np.zeros((len(series.item), len(dates)))
    for fault in (f for f in faults if f.name == "competitor"):
        lost -= float(fault.values["drop"]) * _touched(fault, series, dates)
    return lost


def _response(
    seed: int, series: Series, dates: pd.DatetimeIndex, faults: Sequence[Fault]
) -> Floats:
    mood = np.array([normals(seed, "store", s.store_id, 16)[2] for s in series.stores])
    strength = np.array([s.sensitivity for s in series.stores]) + 0.15 * mood
    ours = strength[series.store]
    parts = [ours * series.of_item("wet"), ours * series.of_item("amount"), ours, ours]
    parts.append(series.of_item("warmth"))
    response = np.repeat(np.stack(parts)[..., None], len(dates), axis=2)
    for fault in (f for f in faults if f.name == "sensitivity_shift"):
        touched = _touched(fault, series, dates)
        response[0] = np.where(touched, float(fault.values["factor"]) * response[0], response[0])
    return response


def _touched(fault: Fault, series: Series, dates: pd.DatetimeIndex) -> NDArray[np.bool_]:
    here = fault.at([city.location_id for city in series.cities])[series.city]
    return np.asarray(here[:, None] & fault.on(dates))


def negative_binomial(chance: Floats, rate: Floats, dispersion: Floats) -> Counts:
    """Return the smallest count whose probability to be reached is at least `chance`.

    By summing the probabilities: +, ×, ÷ and one power, so it rounds alike everywhere.
    """
    shape = np.broadcast_shapes(chance.shape, rate.shape, dispersion.shape)
    wide: list[Floats] = [np.broadcast_to(a, shape).ravel() for a in (chance, rate, dispersion)]
    start = (wide[2] / (wide[1] + wide[2])) ** wide[2]
    count = np.zeros(start.shape, np.int64)
    left = np.flatnonzero(start < wide[0])
    term, chance, rate, dispersion = (a[left] for a in (start, *wide))
    total, odds, n = term, rate / (rate + dispersion), 0
    while len(left):
        term = term * odds * (n + dispersion) / (n + 1)
        total, n = total + term, n + 1
        count[left] = n
        more = (total < chance) & (term > 0)  # the sum may stop short of 1 by rounding
        left, term, total = left[more], term[more], total[more]
        chance, odds, dispersion = chance[more], odds[more], dispersion[more]
    return count.reshape(shape)
