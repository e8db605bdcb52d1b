"""The distribution of weather given an issued forecast, learned per lead.

What was issued is compared with what was observed: probabilities by a logistic line per lead
(Platt scaling, Hamill et al. 2008 for rain), amounts by a ratio and a gamma shape, temperature
by a slope. This corrects over-confident issues.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.features.drivers import WET_MM
from salescast.features.point_in_time import DRIVERS

Floats = NDArray[np.float64]

CHANCES = ("rain_probability", "storm", "spell")
OBSERVED = "_observed"  # suffix of what happened beside what was issued
PAIR = ["location_id", "date"]
RIDGE = 2.0  # prior weight of the issue as it stands, in pseudo-days
MIN_PAIRS = 60  # days of a lead; with fewer the issue is taken as it stands
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
    """Compare issued rows (`point_in_time.build`) with what was observed (`point_in_time.past`)."""
    observed = happened.drop_duplicates(PAIR)[[*PAIR, *DRIVERS]]
    issued = rows[rows["issued_at"].notna()].drop_duplicates([*PAIR, "lead_time"])
    pairs = issued.merge(observed, on=PAIR, suffixes=("", OBSERVED))
    lines = np.tile([0.0, 1.0], (horizon, len(CHANCES), 1))
    ratio, shape, slope = np.ones(horizon), np.ones(horizon), np.ones(horizon)
    for lead, part in pairs.groupby("lead_time"):
        if len(part) >= MIN_PAIRS:
            lines[int(lead) - 1] = [_line(part, name) for name in CHANCES]
            ratio[int(lead) - 1], shape[int(lead) - 1] = _amounts(part)
            slope[int(lead) - 1] = _slope(part)
    wet = observed.loc[observed["rain_probability"] == 1.0, "rain_mm"].to_numpy() - WET_MM
    normal = _gamma_shape(wet, np.full_like(wet, wet.mean())) if len(wet) > 1 else 1.0
    return Calibration(lines, ratio, shape, slope, normal)


def _logit(chance: Floats) -> Floats:
    inside = np.clip(chance, 0.02, 0.98)  # issues are rounded to 5 %
    return np.log(inside / (1.0 - inside))


def _line(part: pd.DataFrame, name: str) -> Floats:
    """Return (a, b) of logit P(observed) = a + b logit(issued), shrunk towards (0, 1)."""
    x = np.column_stack([np.ones(len(part)), _logit(part[name].to_numpy())])
    y, line = part[name + OBSERVED].to_numpy(float), np.array([0.0, 1.0])
    for _ in range(8):
        chance = 1.0 / (1.0 + np.exp(-x @ line))
        hessian = x.T @ (x * (chance * (1.0 - chance))[:, None]) + RIDGE * np.eye(2)
        gradient = x.T @ (y - chance) - RIDGE * (line - [0.0, 1.0])
        line = line + np.linalg.solve(hessian, gradient)
    return line


def _amounts(part: pd.DataFrame) -> tuple[float, float]:
    """Return how much more rain falls on wet days than issued, and its gamma shape."""
    wet = part[part["rain_probability" + OBSERVED] == 1.0]
    if len(wet) < MIN_PAIRS // 4:
        return 1.0, 1.0
    issued = excess_mm(wet["rain_probability"].to_numpy(), wet["rain_mm"].to_numpy())
    fell = wet["rain_mm" + OBSERVED].to_numpy() - WET_MM
    ratio = max(float(fell.sum() / issued.sum()), 0.1)
    return ratio, _gamma_shape(fell, issued * ratio)


def _gamma_shape(fell: Floats, expected: Floats) -> float:
    """Return the shape by maximum likelihood, in Minka's (2002) closed approximation."""
    share = (fell + 0.05) / np.maximum(expected, MIN_EXCESS)  # rain is rounded to 0.1 mm
    s = max(float(np.log(share.mean()) - np.log(share).mean()), 1e-3)
    return float(np.clip((3.0 - s + np.sqrt((s - 3.0) ** 2 + 24.0 * s)) / (12.0 * s), 0.3, 20.0))


def _slope(part: pd.DataFrame) -> float:
    issued = part["temp_anomaly"].to_numpy()
    observed = part["temp_anomaly" + OBSERVED].to_numpy()
    return float((issued @ observed + RIDGE) / (issued @ issued + RIDGE))


def excess_mm(probability: Floats, expected_mm: Floats) -> Floats:
    """Return the rain beyond WET_MM that an issue expects of a wet day, mm."""
    excess: Floats = expected_mm / np.maximum(probability, 0.02) - WET_MM
    return np.maximum(excess, MIN_EXCESS)


@dataclass(frozen=True)
class CalibratedWeather:
    """The weather of each row's day: chances (n,), five likely amounts (n, 5), °C (n,)."""

    wet: Floats
    storm: Floats
    spell: Floats
    rain_mm: Floats
    temp_anomaly: Floats


def calibrated_weather(calibration: Calibration, rows: pd.DataFrame) -> CalibratedWeather:
    """Return the calibrated weather of feature rows; climatology stays as it is."""
    from scipy.special import gammaincinv

    lead = np.minimum(rows["lead_time"].to_numpy(int), len(calibration.ratio)) - 1
    issued = rows["issued_at"].notna().to_numpy()
    values = {name: np.nan_to_num(rows[name].to_numpy(float)) for name in DRIVERS}  # NaN: blind
    chances = []
    for position, name in enumerate(CHANCES):
        a, b = calibration.lines[lead, position].T
        calibrated = 1.0 / (1.0 + np.exp(-(a + b * _logit(values[name]))))
        chances.append(np.where(issued, calibrated, values[name]))
    excess = excess_mm(values["rain_probability"], values["rain_mm"])
    shape = np.where(issued, calibration.shape[lead], calibration.normal_shape)[:, None]
    mean = (excess * np.where(issued, calibration.ratio[lead], 1.0))[:, None]
    rain_mm = WET_MM + mean * gammaincinv(shape, np.array(AMOUNTS)) / shape
    slope = np.where(issued, calibration.slope[lead], 1.0)
    wet, storm, spell = chances
    return CalibratedWeather(wet, storm, spell, rain_mm, slope * values["temp_anomaly"])
