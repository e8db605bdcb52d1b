"""The distribution of weather given an issued forecast, learned per lead.

What an issue says is compared with what came: probabilities through a logistic line per lead
(Platt scaling, Hamill et al. 2008 for rain), amounts by a ratio and a gamma shape, temperature
by a slope. An over-confident issue is thereby pulled back before it is believed.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.features.drivers import WET_MM

Floats = NDArray[np.float64]

CHANCES = {"rain_probability": "wet", "storm": "storm", "spell": "spell"}
PAIR = ["location_id", "date"]
RIDGE = 2.0  # prior weight of believing the issue as it stands, in pseudo-days
MIN_PAIRS = 60  # fewer days of a lead teach less than the issue itself
AMOUNTS = (0.1, 0.3, 0.5, 0.7, 0.9)  # midpoints of five equally likely amounts of rain
MIN_EXCESS = 0.3  # mm beyond WET_MM that a wet day has at least


@dataclass(frozen=True)
class Calibration:
    """Per lead (row lead − 1): `lines` (leads, chances, 2), `ratio`, `shape` and `slope` (leads,).

    `normal_shape` is the gamma shape where the weather is climatology.
    """

    lines: Floats
    ratio: Floats
    shape: Floats
    slope: Floats
    normal_shape: float


def fit(rows: pd.DataFrame, happened: pd.DataFrame, horizon: int) -> Calibration:
    """Learn from issued rows (`features.build`) whose weather has come (`features.past`)."""
    came = happened.drop_duplicates(PAIR)[
        [*PAIR, "wet", "storm", "spell", "rain_mm", "temp_anomaly"]
    ]
    said = rows[rows["issued_at"].notna()].drop_duplicates([*PAIR, "lead_time"])
    pairs = said.merge(came, on=PAIR, suffixes=("", "_came"))
    lines = np.tile([0.0, 1.0], (horizon, len(CHANCES), 1))
    ratio, shape, slope = np.ones(horizon), np.ones(horizon), np.ones(horizon)
    for lead, part in pairs.groupby("lead_time"):
        if len(part) >= MIN_PAIRS:
            lines[int(lead) - 1] = [_line(part, *names) for names in CHANCES.items()]
            ratio[int(lead) - 1], shape[int(lead) - 1] = _amounts(part)
            slope[int(lead) - 1] = _slope(part)
    wet = came.loc[came["wet"] == 1.0, "rain_mm"].to_numpy() - WET_MM
    normal = _gamma_shape(wet, np.full_like(wet, wet.mean())) if len(wet) > 1 else 1.0
    return Calibration(lines, ratio, shape, slope, normal)


def _logit(chance: Floats) -> Floats:
    inside = np.clip(chance, 0.02, 0.98)  # issues are rounded to 5 %
    return np.log(inside / (1.0 - inside))


def _line(part: pd.DataFrame, said: str, came: str) -> Floats:
    """Return (a, b) of logit P(came) = a + b logit(said), shrunk towards (0, 1)."""
    x = np.column_stack([np.ones(len(part)), _logit(part[said].to_numpy())])
    name = came if came not in CHANCES or said == "rain_probability" else f"{came}_came"
    y, line = part[name].to_numpy(float), np.array([0.0, 1.0])
    for _ in range(8):
        chance = 1.0 / (1.0 + np.exp(-x @ line))
        hessian = x.T @ (x * (chance * (1.0 - chance))[:, None]) + RIDGE * np.eye(2)
        pull = x.T @ (y - chance) - RIDGE * (line - [0.0, 1.0])
        line = line + np.linalg.solve(hessian, pull)
    return line


def _amounts(part: pd.DataFrame) -> tuple[float, float]:
    """Return how much more rain falls on wet days than said, and its gamma shape."""
    wet = part[part["wet"] == 1.0]
    if len(wet) < MIN_PAIRS // 4:
        return 1.0, 1.0
    said = excess_mm(wet["rain_probability"].to_numpy(), wet["rain_mm"].to_numpy())
    fell = wet["rain_mm_came"].to_numpy() - WET_MM
    ratio = max(float(fell.sum() / said.sum()), 0.1)
    return ratio, _gamma_shape(fell, said * ratio)


def _gamma_shape(fell: Floats, expected: Floats) -> float:
    """Return the shape by maximum likelihood, in Minka's (2002) closed approximation."""
    share = (fell + 0.05) / np.maximum(expected, MIN_EXCESS)  # rain is rounded to 0.1 mm
    s = max(float(np.log(share.mean()) - np.log(share).mean()), 1e-3)
    return float(np.clip((3.0 - s + np.sqrt((s - 3.0) ** 2 + 24.0 * s)) / (12.0 * s), 0.3, 20.0))


def _slope(part: pd.DataFrame) -> float:
    said, came = part["temp_anomaly"].to_numpy(), part["temp_anomaly_came"].to_numpy()
    return float((said @ came + RIDGE) / (said @ said + RIDGE))


def excess_mm(probability: Floats, expected_mm: Floats) -> Floats:
    """Return the rain beyond WET_MM that an issue expects of a wet day, mm."""
    excess: Floats = expected_mm / np.maximum(probability, 0.02) - WET_MM
    return np.maximum(excess, MIN_EXCESS)


@dataclass(frozen=True)
class CalibratedWeather:
    """What is believed of each row's day: chances (n,), five likely amounts (n, 5), °C (n,)."""

    wet: Floats
    storm: Floats
    spell: Floats
    rain_mm: Floats
    temp_anomaly: Floats


def calibrated_weather(calibration: Calibration, rows: pd.DataFrame) -> CalibratedWeather:
    """Return the weather of feature rows as the calibration believes it; climatology as it is."""
    from scipy.special import gammaincinv

    lead = np.minimum(rows["lead_time"].to_numpy(int), len(calibration.ratio)) - 1
    issued = rows["issued_at"].notna().to_numpy()
    chances = []
    for position, name in enumerate(CHANCES):
        said = np.nan_to_num(rows[name].to_numpy(float))  # the blind twin is told nothing
        a, b = calibration.lines[lead, position].T
        chances.append(np.where(issued, 1.0 / (1.0 + np.exp(-(a + b * _logit(said)))), said))
    chance, mm = (np.nan_to_num(rows[c].to_numpy(float)) for c in ("rain_probability", "rain_mm"))
    said = excess_mm(chance, mm)
    shape = np.where(issued, calibration.shape[lead], calibration.normal_shape)[:, None]
    mean = (said * np.where(issued, calibration.ratio[lead], 1.0))[:, None]
    fell = WET_MM + mean * gammaincinv(shape, np.array(AMOUNTS)) / shape
    slope = np.where(issued, calibration.slope[lead], 1.0)
    anomaly = np.nan_to_num(rows["temp_anomaly"].to_numpy(float))
    wet, storm, spell = chances
    return CalibratedWeather(wet, storm, spell, fell, slope * anomaly)
