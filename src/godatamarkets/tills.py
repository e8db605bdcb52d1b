"""What broken tills and exports make of the sales; the other tables stay as they are.

Two faults look alike and are not. `timezone_shift`: rows are dated a day early (local midnight
written as UTC), so they come late and collide with the day before. `weekday_label_shift`: each
date carries the numbers of the day before; keys and moments look right, only the weekdays do not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from godatamarkets.demand import Counts, Demand, Series
from godatamarkets.faults import Fault
from godatamarkets.randomness import uniforms
from godatamarkets.tables import date_of

Hit = NDArray[np.bool_]
Values = Mapping[str, Any]


def labelled(
    rows: tuple[Counts, Counts], series: Series, demand: Demand, faults: Sequence[Fault]
) -> Counts:
    """Return the day whose numbers each row (day, series) carries: its own, but for one fault."""
    days, which = rows
    source = days
    for fault in (f for f in faults if f.name == "weekday_label_shift"):
        here = fault.at([city.location_id for city in series.cities])[series.city[which]]
        before = np.maximum(source - 1, 0)
        before = np.maximum(before - ~demand.trading[which, before], 0)
        source = np.where(here & fault.on(date_of(days)), before, source)
    return source


def spoil(rows: pd.DataFrame, faults: Sequence[Fault], seed: int) -> pd.DataFrame:
    """Return sales rows of whole days as they are delivered."""
    for fault in faults:
        if fault.name in _SPOILERS and fault.on(rows["date"]).any():
            rows = _SPOILERS[fault.name](rows, _hit(rows, fault, seed), fault.values)
    return rows


def _hit(rows: pd.DataFrame, fault: Fault, seed: int) -> Hit:
    """Return the rows it hits; a row's luck does not depend on what else is delivered."""
    city = rows["store_id"].str.rpartition("-")[0]
    hit = fault.on(rows["date"]) & fault.at(city)
    if "item" in fault.values:
        hit = hit & (rows["item_id"] == fault.values["item"]).to_numpy(bool)
    if "share" in fault.values:
        keys = rows.loc[hit, ["store_id", "item_id"]].itertuples(index=False, name=None)
        names = [f"{fault.text}|{'|'.join(key)}" for key in keys]
        since = (rows.loc[hit, "date"] - fault.start).dt.days.to_numpy()
        luck = [
            uniforms(seed, "fault", f"{n}|{d}", 1)[0] for n, d in zip(names, since, strict=True)
        ]
        hit[hit] = np.array(luck) < fault.values["share"]
    return hit


def _currency(rows: pd.DataFrame, hit: Hit, values: Values) -> pd.DataFrame:
    return rows.assign(price=rows["price"] * np.where(hit, values["factor"], 1.0))


def _negative(rows: pd.DataFrame, hit: Hit, _: Values) -> pd.DataFrame:
    return rows.assign(units=rows["units"].where(~hit, -rows["units"].clip(lower=1)))


def _split_case(rows: pd.DataFrame, hit: Hit, _: Values) -> pd.DataFrame:
    return rows.assign(item_id=rows["item_id"].where(~hit, rows["item_id"].str.upper()))


def _truncate(rows: pd.DataFrame, hit: Hit, values: Values) -> pd.DataFrame:
    files = rows[hit].groupby("date")
    lost = files.cumcount() >= values["kept"] * files["units"].transform("size")
    return rows.drop(index=lost.index[lost]).reset_index(drop=True)


def _duplicate(rows: pd.DataFrame, hit: Hit, _: Values) -> pd.DataFrame:
    return rows.take(np.repeat(np.arange(len(rows)), 1 + hit)).reset_index(drop=True)


def _day_early(rows: pd.DataFrame, hit: Hit, _: Values) -> pd.DataFrame:
    return rows.assign(date=rows["date"] - pd.to_timedelta(hit.astype(np.int64), unit="D"))


def _late(rows: pd.DataFrame, hit: Hit, values: Values) -> pd.DataFrame:
    delay = pd.to_timedelta(hit * values["delay"], unit="D")
    return rows.assign(recorded_at=rows["recorded_at"] + delay)


_SPOILERS = {
    "currency_unit": _currency,
    "negative_units": _negative,
    "item_case_split": _split_case,
    "truncated_file": _truncate,
    "duplicate_rows": _duplicate,
    "timezone_shift": _day_early,
    "late_sales": _late,
}
TILLS = frozenset({*_SPOILERS, "weekday_label_shift"})
"""The faults of tills and exports: a person can mend them. The others are the world's."""
