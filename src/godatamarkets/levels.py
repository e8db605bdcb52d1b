"""How the levels of series move, and the shocks of a day; zero in the world `base`.

The oracle knows the parameters, today's level and today's slope, and draws what comes after: the
increments of a random walk, shifts, breaks of the trend, and each day's shocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from godatamarkets.randomness import Floats, normals, uniforms
from godatamarkets.worlds import (
    BREAK_AFTER,
    BREAK_MEAN,
    JUMP_SHARE,
    LARGEST_SHOCK,
    SHIFTS_PER_DAY,
    World,
)

YEAR_DAYS = 365.25


@dataclass(frozen=True)
class Levels:
    """Log level, its slope a day, and the days since the last break; shape (series, days).

    `shifting`: 1 for series whose level shifts at times, else 0.
    """

    log_level: Floats
    slope: Floats
    age: Floats
    shifting: Floats


def simulate(seed: int, world: World, names: Sequence[str], days: int) -> Levels:
    """Return the levels of the series called `names`; each depends on its own name alone."""
    chance = np.array([uniforms(seed, "shifted", name, 1)[0] for name in names])
    shifting = (chance < world.shifted).astype(float)
    steps = np.stack(
        [_steps(seed, world, name, days, *on) for name, *on in zip(names, shifting, strict=True)]
    )
    trends = [_trend(seed, world, name, days) for name in names]
    slope, age = (np.stack(part) for part in zip(*trends, strict=True))
    return Levels(np.cumsum(steps + slope, axis=1), slope, age, shifting)


def _steps(seed: int, world: World, name: str, days: int, shifting: float) -> Floats:
    """Return the daily steps of a series' log level, without its trend."""
    steps = np.zeros(days)
    if world.walk:
        steps += world.walk * normals(seed, "walk", name, days)
    if world.shift:
        steps += world.shift * shifting * _shifts(uniforms(seed, "shift", name, days))
    return steps


def _shifts(chance: Floats) -> Floats:
    """Return 1 on days of a shift up, −1 on those of a shift down, else 0."""
    return np.where(chance < SHIFTS_PER_DAY / 2, 1.0, -1.0) * (chance < SHIFTS_PER_DAY)


def _trend(seed: int, world: World, name: str, days: int) -> tuple[Floats, Floats]:
    """Return the slope a day of a series' log level, and the days since it was drawn."""
    slope, age = np.zeros(days), np.zeros(days)
    if world.slope:
        count = days // BREAK_AFTER + 2
        lasts = BREAK_AFTER - BREAK_MEAN * np.log(uniforms(seed, "break", name, count))
        starts = np.concatenate([[0.0], np.ceil(np.cumsum(lasts))])
        which = np.searchsorted(starts, np.arange(days), side="right") - 1
        slope = world.slope / YEAR_DAYS * normals(seed, "slope", name, count + 1)[which]
        age = np.arange(days) - starts[which]
    return slope, age


def shocks(
    seed: int, world: World, cities: Sequence[str], names: Sequence[str], days: int
) -> tuple[Floats, Floats]:
    """Return the shocks of each city and day, and those of each series and day, on log λ."""
    by_city = np.stack([uniforms(seed, "shock", city, days) for city in cities])
    by_series = np.stack([uniforms(seed, "jump", name, days) for name in names])
    return shock_of(world, by_city), jump_of(world, by_series)


def shock_of(world: World, chance: Floats) -> Floats:
    """Return the t₃ shock that is exceeded with probability 1 − `chance`."""
    return np.asarray(np.clip(world.shock * stdtrit(3, chance), -LARGEST_SHOCK, LARGEST_SHOCK))


def jump_of(world: World, chance: Floats) -> Floats:
    """Return the jump of each series and day."""
    return np.where(chance < JUMP_SHARE, world.jump, 0.0)


class Future:
    """Levels and shocks of the days after an origin, drawn once and used for every origin."""

    def __init__(self, world: World, series: int, cities: int, paths: int, horizon: int) -> None:
        """Draw for so many series, cities, paths and days."""
        self.world, self.shape = world, (series, paths, horizon)
        self.shocks: tuple[Floats, Floats] = (
            np.zeros((cities, paths, horizon)),
            np.zeros(self.shape),
        )
        if world.shock or world.jump:
            by_city = self._uniforms("shock", (cities, paths, horizon))
            by_series = self._uniforms("jump", self.shape)
            self.shocks = shock_of(world, by_city), jump_of(world, by_series)
        self.walk, self.shift = np.zeros(self.shape), np.zeros(self.shape)
        if world.walk:
            self.walk = world.walk * ndtri(self._uniforms("walk", self.shape))
        if world.shift:
            self.shift = world.shift * _shifts(self._uniforms("shift", self.shape))

    def _uniforms(self, name: str, shape: tuple[int, ...]) -> Floats:
        return uniforms(0, "oracle", name, int(np.prod(shape))).reshape(shape)

    def log_levels(self, levels: Levels, origin: int) -> Floats:
        """Return log levels after day `origin`, of shape (series, paths, days)."""
        steps = self.walk + self.shift * levels.shifting[:, None, None]
        steps = steps + self._slopes(levels, origin)
        return np.asarray(levels.log_level[:, [origin], None] + np.cumsum(steps, axis=2))

    def _slopes(self, levels: Levels, origin: int) -> Floats:
        now = levels.slope[:, [origin], None]
        if not self.world.slope:
            return np.asarray(now)
        series, paths, horizon = self.shape
        waiting = np.maximum(BREAK_AFTER - levels.age[:, [origin]], 0.0)
        left = waiting - BREAK_MEAN * np.log(self._uniforms("break", (series, paths)))
        fresh = self.world.slope / YEAR_DAYS * ndtri(self._uniforms("slope", (series, paths)))
        broken = np.arange(1, horizon + 1) > left[:, :, None]
        return np.where(broken, fresh[:, :, None], now)
