"""What can go wrong: `name@YYYY-MM-DD[:key=value,…]`, each with a sensible scope and size.

`location=all` is every city; `days=0` is for good.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from godatamarkets.catalogue import START

Mask = NDArray[np.bool_]

KINDS: Mapping[str, Mapping[str, str | int | float]] = {
    # what the world does
    "new_store": {"location": "london"},
    "sensitivity_shift": {"location": "all", "days": 0, "factor": 0.5},
    "competitor": {"location": "london", "days": 0, "drop": 0.4},
    # what the weather service does
    "forecast_upgrade": {"location": "all", "days": 0, "gain": 0.6},
    "feed_outage": {"location": "all", "days": 5},
    "gauge_stuck": {"location": "london", "days": 21},
    "gauge_unit": {"location": "london", "days": 30},
    # what the tills and their export do
    "currency_unit": {"location": "london", "days": 14, "factor": 100.0},
    "late_sales": {"location": "london", "days": 7, "delay": 3},
    "duplicate_rows": {"location": "all", "days": 1, "share": 0.05},
    "timezone_shift": {"location": "london", "days": 14},
    "weekday_label_shift": {"location": "london", "days": 28},
    "item_case_split": {"location": "all", "days": 28, "item": "u3", "share": 0.5},
    "truncated_file": {"location": "all", "days": 1, "kept": 0.4},
    "negative_units": {"location": "all", "days": 7, "share": 0.02},
}


@dataclass(frozen=True)
class Fault:
    """One fault: from when, where, how long and how much."""

    text: str
    name: str
    start: pd.Timestamp
    values: Mapping[str, Any]

    def on(self, dates: Any) -> Mask:
        """Return which of `dates` it touches."""
        dates = np.asarray(dates, dtype="datetime64[us]")
        start, days = self.start.to_datetime64(), self.values.get("days", 0)
        started: Mask = dates >= start
        return started & (dates < start + np.timedelta64(days, "D")) if days else started

    def at(self, locations: Any) -> Mask:
        """Return which of `locations` it touches."""
        locations = np.asarray(locations, dtype=object)
        chosen = self.values.get("location", "all")
        return np.full(locations.shape, True) if chosen == "all" else locations == chosen


def parse(text: str, locations: Sequence[str], items: Sequence[str]) -> Fault:
    """Return the fault written in `text`; raise ValueError naming what is known instead."""
    head, _, tail = text.partition(":")
    name, _, day = head.partition("@")
    if name not in KINDS:
        raise ValueError(f"fault {text!r}: {name!r} is unknown; known are {', '.join(KINDS)}")
    values: dict[str, Any] = dict(KINDS[name])
    if values.get("item") not in items:
        values.update({"item": items[-1]} if "item" in values else {})
    for pair in filter(None, tail.split(",")):
        key, _, value = (part.strip() for part in pair.partition("="))
        values[key] = _value(text, key, value, KINDS[name])
    _check_scope(text, values, {"location": (*locations, "all"), "item": tuple(items)})
    return Fault(text, name, _start(text, day), values)


def _value(text: str, key: str, value: str, defaults: Mapping[str, Any]) -> Any:
    if key not in defaults:
        raise ValueError(f"fault {text!r}: key {key!r} is unknown; known are {', '.join(defaults)}")
    kind = type(defaults[key])
    try:
        number = kind(value)
    except ValueError:
        raise ValueError(f"fault {text!r}: {key}={value!r} is not a number") from None
    if kind is not str and not 0 <= number < float("inf"):
        raise ValueError(f"fault {text!r}: {key}={value!r} must not be negative or infinite")
    return number


def _check_scope(text: str, values: Mapping[str, Any], known: Mapping[str, Sequence[str]]) -> None:
    for key, names in known.items():
        if key in values and values[key] not in names:
            raise ValueError(
                f"fault {text!r}: {key} {values[key]!r} is unknown; known are {', '.join(names)}"
            )
    shares = [key for key in ("share", "kept", "gain") if values.get(key, 0) > 1]
    if shares:
        raise ValueError(f"fault {text!r}: {shares[0]} must lie between 0 and 1")


def _start(text: str, day: str) -> pd.Timestamp:
    try:
        start = pd.Timestamp(pd.to_datetime(day, format="%Y-%m-%d"))
    except ValueError:
        start = pd.NaT
    if pd.isna(start) or start < START:
        raise ValueError(f"fault {text!r}: needs @YYYY-MM-DD, from {START:%Y-%m-%d} on")
    return start
