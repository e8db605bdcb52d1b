"""Weather, and how its forecasts evolve: a martingale on a latent Gaussian (Heath & Jackson 1994).

z = Σ_{k=0..14} σ_k e_{t,k},  e_{t,k} revealed on issue day t − k,  z | issue of day t − h
~ N(μ_h, 1 − R_h²) exactly.  Rain is a censored gamma of z (WGEN, Richardson 1981).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy.special import gammainccinv, ndtr, ndtri

from godatamarkets.catalogue import LEADS, START, City
from godatamarkets.faults import Fault
from godatamarkets.randomness import Floats, normals

HISTORY = 5  # days before START whose rain is known, for the dry spell that may end on it
_LEAD_IN = 28  # issue days before START: 14 until the martingale is complete, and HISTORY
_COMMON = 0.3  # share of variance that all cities share
R_RAIN = np.array(
    [1, 0.85, 0.83, 0.80, 0.76, 0.70, 0.63, 0.55, 0.47, 0.39, 0.32, 0.26, 0.21, 0.17, 0.13]
)
R_TEMP = np.sqrt(
    1
    - np.array(
        [0, 0.50, 0.56, 0.62, 0.68, 0.74, 0.80, 0.85, 0.89, 0.92, 0.945, 0.96, 0.975, 0.985, 0.99]
    )
    ** 2
)
RHO = {"rain": 0.55, "temp": 0.85}  # of neighbouring target days of one issue
SKILL = {"rain": R_RAIN, "temp": R_TEMP}
_GRID = np.linspace(0, 40, 8001)  # −log of the chance, given rain, of more rain
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class Climate:
    """The climate of a city, arrays of shape (cities, days from START − HISTORY)."""

    wet: Floats
    temp: Floats


@dataclass(frozen=True)
class Weather:
    """Actual rain and temperature, and the issues before; issues are (cities, days, leads).

    `precip` starts HISTORY days before START. `latent` maps rain and temp to (μ, τ): what an
    issue knows of z, and the standard deviation of what it does not.
    """

    climate: Climate
    precip: Floats
    temp: Floats
    latent: dict[str, tuple[Floats, Floats]]
    issued_precip: Floats
    issued_chance: Floats
    issued_temp: Floats


def scale(variable: str) -> Floats:
    """Return σ_k: how much of z is revealed k days ahead."""
    variance = SKILL[variable] ** 2
    return np.asarray(np.sqrt(variance - np.append(variance[1:], 0)))


def climate(cities: Sequence[City], days: int) -> Climate:
    """Return the chance of rain and the mean temperature, from START − HISTORY on."""
    index = pd.date_range(START - pd.Timedelta(days=HISTORY), periods=days + HISTORY)
    day = index.day_of_year.to_numpy(np.float64)
    rows = [[c.wet_winter, c.wet_summer, c.temp_mean, c.temp_swing] for c in cities]
    winter, summer, mean, swing = (column[:, None] for column in np.array(rows).T)
    rain_cycle = np.cos(2 * np.pi * (day - 15) / 365.25)
    temp_cycle = np.cos(2 * np.pi * (day - 21) / 365.25)
    return Climate(
        (winter + summer) / 2 + (winter - summer) / 2 * rain_cycle, mean - swing * temp_cycle
    )


def chain(draws: Floats, rho: float) -> Floats:
    """Return `draws` (…, issues, 15) correlated as one issue's news on neighbouring days is.

    The last column, the first word on a day, is an AR(1) over issues instead.
    """
    news, fresh = draws.copy(), np.sqrt(1 - rho**2)
    for k in range(1, LEADS - 1):
        news[..., k] = rho * news[..., k - 1] + fresh * draws[..., k]
    for issue in range(1, draws.shape[-2]):
        news[..., issue, -1] = rho * news[..., issue - 1, -1] + fresh * draws[..., issue, -1]
    return news


def _news(seed: int, variable: str, cities: Sequence[City], issues: int) -> Floats:
    def read(entity: str) -> Floats:
        return normals(seed, variable, entity, issues * LEADS).reshape(issues, LEADS)

    own = np.stack([read(city.location_id) for city in cities])
    draws = np.sqrt(_COMMON) * read("everywhere") + np.sqrt(1 - _COMMON) * own
    return chain(draws, RHO[variable.split("|", maxsplit=1)[0]])


def _known(news: Floats, sigma: Floats) -> Floats:
    known = sigma * news
    for lead in range(LEADS - 2, -1, -1):
        known[:, 1:, lead] += known[:, :-1, lead + 1]
    return known


def simulate(seed: int, cities: Sequence[City], days: int, faults: Sequence[Fault]) -> Weather:
    """Return the weather of `cities` on the first `days` days and every issue made on them."""
    issues = _LEAD_IN + days + 1  # one more: an upgraded forecast knows part of tomorrow's news
    normal = climate(cities, days + LEADS)
    actual, latent = {}, {}
    for variable in ("rain", "temp"):
        news = _news(seed, variable, cities, issues)
        mean = _known(news, scale(variable))
        actual[variable] = mean[:, _LEAD_IN - HISTORY : -1, 0]
        mean = mean[:, _LEAD_IN:-1]
        spread = np.broadcast_to(np.sqrt(1 - SKILL[variable] ** 2), mean.shape)
        gain = _gain(faults, cities, days)
        if gain.any():
            noise = _news(seed, f"{variable}|upgrade", cities, issues)
            mean, spread = _upgrade((mean, spread), (news, noise), gain, scale(variable))
        latent[variable] = (mean, spread)
    ahead = np.arange(days)[:, None] + np.arange(LEADS) + HISTORY
    chance, amount = _issue_rain(*latent["rain"], normal.wet[:, ahead], cities)
    sd = np.array([city.temp_sd for city in cities])[:, None]
    return Weather(
        normal,
        rain(actual["rain"], normal.wet[:, : days + HISTORY], cities),
        np.round(normal.temp[:, HISTORY : days + HISTORY] + sd * actual["temp"][:, HISTORY:], 1),
        latent,
        np.round(amount, 1),
        np.rint(chance * 20) / 20,
        np.round(normal.temp[:, ahead] + sd[..., None] * latent["temp"][0], 1),
    )


def _gain(faults: Sequence[Fault], cities: Sequence[City], days: int) -> Floats:
    dates, gain = pd.date_range(START, periods=days), np.zeros((len(cities), days))
    for fault in (f for f in faults if f.name == "forecast_upgrade"):
        here = fault.at([city.location_id for city in cities])[:, None]
        gain = np.maximum(gain, float(fault.values["gain"]) * (here & fault.on(dates)))
    return gain


def _upgrade(
    latent: tuple[Floats, Floats], news: tuple[Floats, Floats], gain: Floats, sigma: Floats
) -> tuple[Floats, Floats]:
    """Let each issue know a share `gain` of the next day's news; the weather stays as it is.

    A Brownian bridge: e = √a e₁ + √(1 − a) e₂ with e₁ = √a e + √(1 − a) n is exact.
    """
    (mean, spread), gain = latent, gain[..., None]
    tomorrow, noise = (part[:, _LEAD_IN + 1 :, :-1] for part in news)
    early = np.sqrt(gain) * tomorrow + np.sqrt(1 - gain) * noise
    better, narrower = mean.copy(), spread.copy()
    better[..., 1:] += np.sqrt(gain) * sigma[:-1] * early
    narrower[..., 1:] = np.sqrt(spread[..., 1:] ** 2 - gain * sigma[:-1] ** 2)
    return better, narrower


def rain(latent: Floats, wet: Floats, cities: Sequence[City]) -> Floats:
    """Return mm to 0.1 for the latent z, cities first; `wet` is the chance of rain that day."""
    return np.round(_amount(latent, wet, cities), 1)


def _amount(latent: Floats, wet: Floats, cities: Sequence[City]) -> Floats:
    rarity = np.log(wet) - np.log(ndtr(-latent))
    amount = np.zeros(np.shape(rarity))
    for row, city in enumerate(cities):
        gamma = np.interp(rarity[row], _GRID, _gamma_at_grid(city.rain_shape))
        amount[row] = 1 + city.rain_scale * gamma
    return np.where(rarity > 0, amount, 0.0)


@cache
def _gamma_at_grid(shape: float) -> Floats:
    return np.asarray(gammainccinv(shape, np.exp(-_GRID)))


def _issue_rain(
    mean: Floats, spread: Floats, wet: Floats, cities: Sequence[City]
) -> tuple[Floats, Floats]:
    """Return P(rain) and expected mm; lead 0 knows the day."""
    today = _amount(mean[..., 0], wet[..., 0], cities)
    mean, spread, wet = mean[..., 1:], spread[..., 1:], wet[..., 1:]
    chance = ndtr((mean + ndtri(wet)) / spread)
    expected = np.zeros(mean.shape)
    for node, weight in zip((_NODES + 1) / 2, _WEIGHTS / 2, strict=True):
        # Given rain, each node is a quantile of the tail of z beyond the threshold.
        latent = mean - spread * ndtri(np.maximum(chance, 1e-300) * node)
        expected += weight * chance * _amount(latent, wet, cities)
    return (
        np.concatenate([(today > 0)[..., None].astype(np.float64), chance], axis=-1),
        np.concatenate([today[..., None], expected], axis=-1),
    )
