"""What every feed delivers: contract rows, each with the moment at which it became known.

Where a row does not say when it became known, its moment is null until `new_rows` compares the
delivery with what is stored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from salescast.contract.schema import TABLES, Tables, latest

Feed = Callable[[pd.Timestamp | None, pd.Timestamp], dict[str, pd.DataFrame]]

HAPPENED = ("sales", "weather_observed", "stock")  # what is known only once the day is over
ALWAYS_KNOWN = pd.Timestamp("1970-01-01")
DAY = pd.Timedelta(days=1)
_SECOND, _TICK = pd.Timedelta(seconds=1), pd.Timedelta(milliseconds=1)


class Delivery(dict[str, pd.DataFrame]):
    """Tables by name. `left_out`: what was found but not read, each with its remedy.

    `rows_read`: by file.
    """

    left_out: tuple[str, ...] = ()
    rows_read: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class NewRows:
    """A delivery with all moments known. Counts of rows by table.

    `stored_already` say what is stored already; `waiting` speak of a day that is not over.
    """

    tables: dict[str, pd.DataFrame]
    stored_already: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)


def new_rows(
    delivery: Tables,
    stored: Tables,
    window: tuple[pd.Timestamp | None, pd.Timestamp],
    now: pd.Timestamp,
) -> NewRows:
    """Return the rows that are news, each with the moment it became known.

    A table's first load is taken to be known as each day ended (stores and items: always). Later,
    a row without a moment that is older than the newest one stored, and any row with a moment
    before `since`, becomes known by this delivery: at `until`, or just after what it corrects.
    `window`: since and until. At `now` (UTC) a day that is not over at its place has to wait.
    """
    tables, already, waiting = {}, {}, {}
    zones = _zones(delivery, stored)
    for name, rows in delivery.items():
        known_at = TABLES[name].known_at
        if known_at in TABLES[name].key or _in_order(rows[known_at], window):
            tables[name] = rows[~(rows[known_at] >= window[1])]  # later issues wait, too
            waiting[name] = len(rows) - len(tables[name])
            continue
        fresh = _ended(name, rows, window[1], _local(now, rows, zones))
        waiting[name] = len(rows) - len(fresh)
        tables[name] = _dated(name, fresh, stored.get(name), window)
        already[name] = len(fresh) - len(tables[name])
    return NewRows(tables, already, waiting)


def _in_order(moments: pd.Series, window: tuple[pd.Timestamp | None, pd.Timestamp]) -> bool:
    """Tell whether all rows say when they became known, and that was in the window."""
    since, until = window
    early = since is not None and (moments < since).any()
    return not (moments.isna().any() or early or (moments >= until).any())


def _zones(delivery: Tables, stored: Tables) -> dict[str, str]:
    """Return the time zone of each store and place."""
    parts = [tables["stores"] for tables in (stored, delivery) if "stores" in tables]
    zones: dict[str, str] = {}
    for stores in parts:
        zones |= dict(zip(stores["location_id"], stores["timezone"], strict=True))
        zones |= dict(zip(stores["store_id"], stores["timezone"], strict=True))
    return zones


def _local(now: pd.Timestamp, rows: pd.DataFrame, zones: Mapping[str, str]) -> pd.Series:
    """Return what the clock shows at `now` where each row belongs; UTC where that is unknown."""
    ids = rows["store_id"] if "store_id" in rows else rows.get("location_id", rows.iloc[:, 0])
    clocks = {}
    for place in ids.unique():
        try:
            zone = ZoneInfo(zones.get(place, "UTC"))
        except (KeyError, ValueError, OSError):  # no such zone, which a check names
            zone = ZoneInfo("UTC")
        clocks[place] = now.tz_localize("UTC").tz_convert(zone).tz_localize(None)
    return ids.map(clocks)


def _ended(name: str, rows: pd.DataFrame, until: pd.Timestamp, clock: pd.Series) -> pd.DataFrame:
    """Return the rows known before `until`; of those without a moment, the days that are over."""
    known = rows[TABLES[name].known_at]
    taken = known.fillna(_assumed(name, rows, until)) < until
    if name in HAPPENED:
        taken &= known.notna() | (rows["date"] + DAY <= clock)
    return rows[taken].reset_index(drop=True)


def _assumed(name: str, rows: pd.DataFrame, until: pd.Timestamp) -> pd.Series:
    """Return when a row without a moment became known: as its day ended; a plan, by now."""
    if "date" not in rows:
        return pd.Series(ALWAYS_KNOWN, index=rows.index).astype("datetime64[us]")
    ended = rows["date"] + DAY - _SECOND
    return ended if name in HAPPENED else ended.clip(upper=until - _SECOND)


def _dated(
    name: str,
    rows: pd.DataFrame,
    stored: pd.DataFrame | None,
    window: tuple[pd.Timestamp | None, pd.Timestamp],
) -> pd.DataFrame:
    known_at, assumed = TABLES[name].known_at, _assumed(name, rows, window[1])
    silent = rows[known_at].isna()
    if stored is None or stored.empty:
        return rows.assign(**{known_at: rows[known_at].fillna(assumed)})
    since, until = window
    before = latest(name, stored)
    seen = _previous(name, rows, before)
    same = (silent & seen["same"]) | _stored(name, rows, stored)
    late = silent & ((assumed <= stored[known_at].max()) if "date" in rows else True)
    if since is not None:
        late |= rows[known_at] < since
    after = (seen["moment"] + _TICK).fillna(ALWAYS_KNOWN)
    now = np.maximum(after, pd.Series(until - _SECOND, index=rows.index).astype("datetime64[us]"))
    moment = rows[known_at].fillna(assumed).mask(late, now)
    return rows.assign(**{known_at: moment})[~same].reset_index(drop=True)


def _previous(name: str, rows: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Return for each row when its key was last known, and whether with the same values."""
    contract = TABLES[name]
    key = [*contract.key]
    found = rows[key].merge(before, on=key, how="left", sort=False)
    found.index = rows.index
    values = [c for c in contract.names if c not in (*key, contract.known_at)]
    same = found[contract.known_at].notna()
    for column in values:
        equal = (rows[column] == found[column]).fillna(value=False).astype(bool)
        same &= equal | (rows[column].isna() & found[column].isna())
    return pd.DataFrame({"moment": found[contract.known_at], "same": same})


def _stored(name: str, rows: pd.DataFrame, stored: pd.DataFrame) -> pd.Series:
    """Return which rows are stored already, moment and all."""
    first = rows[TABLES[name].known_at].min()
    if pd.isna(first):
        return pd.Series(data=False, index=rows.index)
    overlap = stored[stored[TABLES[name].known_at] >= first]
    both = pd.concat([overlap, rows])
    repeated = both.duplicated().to_numpy()[len(overlap) :]
    return pd.Series(repeated, rows.index) & ~rows.duplicated()
