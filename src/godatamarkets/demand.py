"""True demand: negative binomial around a rate, Var = λ + λ²/k.

With k_j per item, for store i and item j:

    log λ = log b_j + a_i + a_ij + trend_i·years + dow_i + season + December + η_j log(price/ref)
          + δ_j·promo + s_i·f_j(rain) + κ_j (T − climatology)
    f_j   = wet·(β_j + γ_j log(1 + min(mm, 15)))·(1 + .25·weekend)
          + .20·(≥ 12 mm on one of the last 3 days) + .25·wet·(≥ 5 dry days before)

Another world changes some of it (worlds.py). Demand never depends on stock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from godatamarkets import levels
from godatamarkets.catalogue import START, City, Item, Store, closed
from godatamarkets.faults import Fault
from godatamarkets.levels import Levels
from godatamarkets.randomness import Floats, normals, uniforms
from godatamarkets.weather import HISTORY, Weather
from godatamarkets.worlds import HEAT, World

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

    def shape(self, world: World) -> Counts:
        """Return which of the world's shapes of the effect of rain each series has."""
        numbers = np.array([store.number for store in self.stores])[self.store]
        return np.asarray(numbers % len(world.wet_mm))

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

    `calendar` is the part of log λ that weather does not touch, with the level of `levels` in it;
    `response` the factors of `drivers`: shape (5 or, with heat, 6; series; days).
    """

    trading: NDArray[np.bool_]
    price: Floats
    promo: NDArray[np.bool_]
    calendar: Floats
    response: Floats
    rate: Floats
    units: Counts
    levels: Levels


def make_series(cities: Sequence[City], stores: Sequence[Store], items: Sequence[Item]) -> Series:
    """Return every store × item."""
    where = np.array([[c.location_id for c in cities].index(s.city.location_id) for s in stores])
    store, item = np.divmod(np.arange(len(stores) * len(items)), len(items))
    return Series(tuple(stores), tuple(cities), tuple(items), store, where[store], item)


def signals(
    precip: Floats,
    weekend: NDArray[np.bool_],
    wet_mm: Floats | float = WET_MM,
    saturation_mm: Floats | float = SATURATION_MM,
) -> Floats:
    """Return the signals of rain (…, HISTORY + days): shape (4, …, days).

    Rain, its amount (both stronger at weekends), a storm lately, rain after a dry spell.
    """
    today, before = precip[..., HISTORY:], _before(precip)
    wet = today >= wet_mm
    storm = np.maximum.reduce(before[:3]) >= STORM_MM
    dry = np.maximum.reduce(before) < wet_mm
    effect = wet * (1 + 0.25 * weekend)
    amount = effect * np.log1p(np.minimum(today, saturation_mm))
    return np.stack([effect, amount, 0.2 * storm, 0.25 * (wet & dry)])


def _before(precip: Floats) -> list[Floats]:
    """Return rain one to HISTORY days before, each of the shape of today's."""
    days = precip.shape[-1] - HISTORY
    return [precip[..., HISTORY - back : HISTORY - back + days] for back in range(1, HISTORY + 1)]


def drivers(
    world: World, shape: int, rain: tuple[Floats, Counts], temp: tuple[Floats, Floats]
) -> list[Floats]:
    """Return the drivers that `Demand.response` weighs, in stores of one shape of the rain effect.

    `rain`: mm, HISTORY days before the first on, and the weekday of each day; `temp`: the anomaly
    and the temperature.
    """
    (precip, weekday), (anomaly, degrees) = rain, temp
    wet_mm = world.wet_mm[shape]
    wet = signals(precip, weekday >= 5, wet_mm, world.saturation_mm[shape])
    wet_before = np.sum([mm >= wet_mm for mm in _before(precip)], axis=0)
    wet *= world.rain_factor(wet_before, anomaly, weekday)
    return [*wet, anomaly, *([HEAT[world.heat](degrees)] if world.heat else [])]


def simulate(
    seed: int,
    world: World,
    series: Series,
    weather: Weather,
    days: int,
    faults: Sequence[Fault],
) -> Demand:
    """Return the demand of every series on the first `days` days."""
    dates = pd.date_range(START, periods=days)
    opened = np.array([s.opened_on for s in series.stores], dtype="datetime64[us]")[series.store]
    trading = (dates.to_numpy() >= opened[:, None]) & ~np.asarray(closed(dates))
    promo = _promo(seed, series, days)
    calendar = _calendar(seed, world, series, dates) + _offer(series, promo)
    calendar += _rivals(series, dates, faults)
    names = ["|".join(name) for name in series.names]
    level = levels.simulate(seed, world, names, days)
    calendar += level.log_level + world.events(dates)
    calendar[series.item == 0] += world.black_fridays(dates)
    response = _response(seed, world, series, dates, faults)
    weather_effect = (response * _weather(world, series, weather, dates)).sum(axis=0)
    cities = [city.location_id for city in series.cities]
    by_city, by_series = levels.shocks(seed, world, cities, names, days)
    log_rate = calendar + weather_effect + by_city[series.city] + by_series
    rate = np.where(trading, np.exp(log_rate), 0.0)
    chance = np.stack([uniforms(seed, "demand", name, days) for name in names])
    units = negative_binomial(chance, rate, series.of_item("dispersion")[:, None])
    price = np.round(series.of_item("price")[:, None] * np.where(promo, PROMO_PRICE, 1.0), 2)
    return Demand(trading, price, promo, calendar, response, rate, units, level)


def _weather(world: World, series: Series, weather: Weather, dates: pd.DatetimeIndex) -> Floats:
    """Return the drivers of each series: shape (drivers, series, days)."""
    weekday, shape = dates.day_of_week.to_numpy(), series.shape(world)
    anomaly = weather.temp - weather.climate.temp[:, HISTORY : HISTORY + len(dates)]
    by_shape = np.stack(
        [
            drivers(world, number, (weather.precip, weekday), (anomaly, weather.temp))
            for number in range(len(world.wet_mm))
        ]
    )
    return np.asarray(by_shape[shape, :, series.city].transpose(1, 0, 2))


def _calendar(seed: int, world: World, series: Series, dates: pd.DatetimeIndex) -> Floats:
    effects = np.stack([normals(seed, "store", s.store_id, 16) for s in series.stores])
    pairs = np.array([normals(seed, "series", "|".join(name), 1)[0] for name in series.names])
    years = np.arange(len(dates)) / 365.25
    weekday = (WEEKDAYS + 0.05 * effects[:, 3:10])[:, dates.day_of_week]
    store = 0.35 * effects[:, [0]] + 0.04 * effects[:, [1]] * years + weekday
    season = 0.12 * np.cos(2 * np.pi * (dates.day_of_year.to_numpy() - 300) / 365.25)
    gifts = 0.45 * ((dates.month == 12) & (dates.day >= 10) & (dates.day <= 24))
    level = np.log(series.of_item("base") * world.volume) + 0.15 * pairs
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
    seed: int, world: World, series: Series, dates: pd.DatetimeIndex, faults: Sequence[Fault]
) -> Floats:
    noise = np.array([normals(seed, "store", s.store_id, 16)[2] for s in series.stores])
    strength = np.array([s.sensitivity for s in series.stores]) + 0.15 * noise
    rain = world.rain * strength[series.store]
    parts = [rain * series.of_item("wet"), rain * series.of_item("amount"), rain, rain]
    parts.append(world.warmth * series.of_item("warmth"))
    parts += [np.ones(len(series.item))] * bool(world.heat)
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
