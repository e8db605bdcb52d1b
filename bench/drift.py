"""`make bench-drift`: how often detectors of drift alarm on real weather that does not drift.

London, 2005 to 2011, each Sunday of the last four years: the last 28 days are compared with what
is known before: by the product with the same season of earlier years, and with how far each of
those lay from the others; by the usual defaults with all history. Then drift is injected.
Needs ../shared/real ($SALESCAST_REAL_DATA).
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp, wasserstein_distance

from bench.retail import CONFIG, Figure, publish
from salescast.monitoring import live_scores
from salescast.settings import read_settings

REAL = Path(os.environ.get("SALESCAST_REAL_DATA", "../shared/real"))
FIRST = pd.Timestamp("2008-01-06")
COLUMNS = ["rain_mm", "wet_share", "temp_c", "sunshine"]
Detector = Callable[[pd.DataFrame, pd.DataFrame], bool]


def weather(path: Path) -> pd.DataFrame:
    """Return a row a day: `origin` (the day) and what a model might read of the weather."""
    raw = pd.read_csv(path, parse_dates=["date"])
    wet = (raw["precipitation"] > 0).astype(float)
    return pd.DataFrame(
        {
            "origin": raw["date"],
            "rain_mm": raw["precipitation"],
            "wet_share": wet.rolling(28, min_periods=7).mean(),
            "temp_c": raw["mean_temp"],
            "sunshine": raw["sunshine"],
        }
    )


def product_alarms(rows: pd.DataFrame, day: pd.Timestamp, recent: pd.DataFrame) -> bool:
    """Tell whether the product's detector raises `input_drift`."""
    limits = read_settings(CONFIG).monitoring
    threshold, days = limits.drift_threshold, limits.live_days
    reference = live_scores.same_season(rows[rows["origin"] <= day], day)
    found = live_scores.drift(reference, recent, COLUMNS)
    earlier = rows[rows["origin"] <= day - pd.Timedelta(days=days)]
    usual = live_scores.usual_drift(earlier, COLUMNS, days)
    return any(found[name] > max(threshold, usual.get(name, threshold)) for name in COLUMNS)


def psi_above(threshold: float) -> Detector:
    """Return the detector that asks each column for a stability index above `threshold`."""
    return lambda before, recent: any(
        value > threshold for value in live_scores.drift(before, recent, COLUMNS).values()
    )


def ks(before: pd.DataFrame, recent: pd.DataFrame) -> bool:
    """Tell whether Kolmogorov & Smirnov's test finds any column at 5 %."""
    return any(ks_2samp(before[c].dropna(), recent[c].dropna()).pvalue < 0.05 for c in COLUMNS)


def wasserstein(before: pd.DataFrame, recent: pd.DataFrame) -> bool:
    """Tell whether any column moved by more than a tenth of its standard deviation."""
    return any(
        wasserstein_distance(before[c].dropna(), recent[c].dropna()) > 0.1 * before[c].std()
        for c in COLUMNS
    )


USUAL: dict[str, Detector] = {
    "PSI > 0.25 against all history": psi_above(0.25),
    "PSI > 0.1 against all history": psi_above(0.1),
    "KS test at 5 % against all history": ks,
    "Wasserstein > 0.1 sd against all history": wasserstein,
}


INJECTED: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "rain in inches": lambda rows: rows.assign(rain_mm=rows["rain_mm"] / 25.4),
    "a gauge stuck at 0": lambda rows: rows.assign(rain_mm=0.0, wet_share=0.0),
    "degrees Fahrenheit": lambda rows: rows.assign(temp_c=rows["temp_c"] * 1.8 + 32.0),
}
"""Changes that a detector must not miss."""


def figures() -> Iterator[Figure]:
    """Yield the share of weekly looks at which each detector alarms."""
    rows = weather(REAL / "uk_gift_retailer" / "london_weather_observed.csv")
    live = pd.Timedelta(days=read_settings(CONFIG).monitoring.live_days)
    detected: dict[str, list[bool]] = {name: [] for name in INJECTED}
    alarms: dict[str, list[bool]] = {"ours, same season": [], **{name: [] for name in USUAL}}
    for day in pd.date_range(FIRST, rows["origin"].max(), freq="7D"):
        recent = rows[(rows["origin"] > day - live) & (rows["origin"] <= day)]
        before = rows[rows["origin"] <= day - live]
        alarms["ours, same season"].append(product_alarms(rows, day, recent))
        for name, detector in USUAL.items():
            alarms[name].append(detector(before, recent))
        for name, change in INJECTED.items():
            detected[name].append(product_alarms(rows, day, change(recent)))
    yield Figure("weekly looks", float(len(alarms["ours, same season"])), "looks")
    best = min(float(np.mean(alarms[name])) for name in USUAL)
    for name, alarmed in alarms.items():
        yield Figure(f"alarms: {name}", float(np.mean(alarmed)), "of looks")
    for name, found in detected.items():
        yield Figure(f"ours tells {name}", float(np.mean(found)), "of looks")
    yield Figure("ours ÷ the calmest default", float(np.mean(alarms["ours, same season"])) / best)


if __name__ == "__main__":
    sys.exit(0 if publish("drift", figures()) else 1)
