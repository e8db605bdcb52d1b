"""Measures of single rows: columns added to those of the contract."""

import re
from collections.abc import Callable
from zoneinfo import available_timezones

import numpy as np
import pandas as pd

from salescast.contract.panel import Floats, day_numbers
from salescast.contract.schema import TABLES
from salescast.quality import gauges, trade
from salescast.quality.scope import RECENT, Scope, median_prices
from salescast.quality.suites import HAPPENED, SERIES

DAY = pd.Timedelta(days=1)
_UNUSABLE = re.compile(r"\.{1,2}|.{101,}|.*[\x00-\x1f\x7f\ue000].*|", re.DOTALL)
JUST_NOW = pd.Timedelta(seconds=1)


def measure_rows(table: str, scope: Scope) -> pd.DataFrame:
    """Return the fresh rows of `table`, numbered from 0, with a column for each measure."""
    rows = scope.rows(table).reset_index(drop=True)
    measures = _copies(table, rows, scope) | _moments(table, rows, scope)
    if table in SERIES:
        measures |= _parents(rows, scope)
    if table.startswith("weather"):
        known = rows["location_id"].isin(scope.stores["location_id"])
        measures["location_known"] = known.astype("float64")
    if table in _IDS:
        measures["other_spelling"] = _other_spelling(rows, scope, _IDS[table])
        measures["unusable_id"] = _unusable_id(rows, _IDS[table])
    for name, measure in _OWN.get(table, {}).items():
        measures[name] = measure(rows, scope)
    if table == "sales":
        measures["price_jumps"] = trade.price_jumps(rows, measures["price_vs_usual"])
    return pd.concat([rows, pd.DataFrame(measures, index=rows.index)], axis=1)


def unknown_rows(table: str, delivered: pd.DataFrame, stored: pd.DataFrame | None) -> pd.DataFrame:
    """Return the delivered rows without those that are stored already, value for value."""
    if stored is None or stored.empty or delivered.empty:
        return delivered
    known = TABLES[table].known_at
    overlap = stored[stored[known].to_numpy() >= delivered[known].min()]
    if overlap.empty:
        return delivered
    both = pd.concat([overlap, delivered])
    return delivered[~both.duplicated().to_numpy()[len(overlap) :] | delivered.duplicated()]


def _copies(table: str, rows: pd.DataFrame, scope: Scope) -> dict[str, Floats]:
    contract = TABLES[table]
    identity = list(dict.fromkeys((*contract.key, contract.known_at)))
    stored = scope.stored.get(table)
    if stored is not None and len(stored) and len(rows):
        stored = stored[stored[contract.known_at].to_numpy() >= rows[contract.known_at].min()]
    both = (
        rows
        if stored is None or stored.empty
        else pd.concat([stored.reindex(columns=rows.columns), rows])
    )
    several = both.duplicated(identity, keep=False).to_numpy()
    if not several.any():
        return {"repeats": np.zeros(len(rows)), "conflicts": np.zeros(len(rows))}
    repeats = both.duplicated().to_numpy()
    others = both[several & ~repeats].duplicated(identity, keep=False)
    conflicts = np.zeros(len(both))
    conflicts[np.flatnonzero(several & ~repeats)] = others.to_numpy()
    fresh = slice(len(both) - len(rows), None)
    return {"repeats": repeats[fresh].astype(np.float64), "conflicts": conflicts[fresh]}


def _moments(table: str, rows: pd.DataFrame, scope: Scope) -> dict[str, Floats]:
    known = rows[TABLES[table].known_at].to_numpy()
    early = known - (scope.until - pd.Timedelta(microseconds=1)).to_datetime64()
    measures = {"hours_early": np.maximum(early / np.timedelta64(1, "h"), 0)}
    if "date" in rows:
        days = day_numbers(rows["date"])
        measures["days_ahead"] = (days - scope.last_day).astype(np.float64)
        if table in HAPPENED:
            measures["days_known_after"] = _days_after(rows)
        if table == "weather_forecast":
            measures["lead"] = (days - day_numbers(known)).astype(np.float64)
    return measures


def _days_after(rows: pd.DataFrame) -> Floats:
    return np.asarray((rows["recorded_at"] - rows["date"]) / DAY, dtype=np.float64)


def _parents(rows: pd.DataFrame, scope: Scope) -> dict[str, pd.Series]:
    return {
        "store_known": rows["store_id"].isin(scope.stores["store_id"]).astype("float64"),
        "item_known": rows["item_id"].isin(scope.items["item_id"]).astype("float64"),
    }


def _other_spelling(rows: pd.DataFrame, scope: Scope, ids: tuple[str, ...]) -> Floats:
    other = np.zeros(len(rows))
    for name in ids:
        known = scope.stores if name == "store_id" else scope.items
        spelling = {_plain(first): first for first in known[name][::-1]}
        odd = [text for text in rows[name].unique() if spelling.get(_plain(text), text) != text]
        other = np.maximum(other, rows[name].isin(odd)) if odd else other
    return other


def _unusable_id(rows: pd.DataFrame, ids: tuple[str, ...]) -> Floats:
    """Return 1 where an id cannot stand in an address, a file name or a line of CSV."""
    bad = np.zeros(len(rows), dtype=bool)
    for name in ids:
        odd = [text for text in rows[name].unique() if _UNUSABLE.fullmatch(text)]
        bad |= rows[name].isin(odd).to_numpy() if odd else bad
    return bad.astype(np.float64)


def _plain(text: str) -> str:
    return text.strip().casefold()


def _days_open(rows: pd.DataFrame, scope: Scope) -> Floats:
    opened = _last_known(scope.stores, "store_id")["opened_on"]
    first = opened.reindex(rows["store_id"]).to_numpy()
    return np.asarray((rows["date"].to_numpy() - first) / DAY.to_timedelta64(), dtype=np.float64)


def _last_known(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    return rows.drop_duplicates(key, keep="last").set_index(key)


def _price_vs_list(rows: pd.DataFrame, scope: Scope) -> Floats:
    listed = _last_known(scope.items, "item_id")["unit_price"]
    return np.asarray(rows["price"].to_numpy() / listed.reindex(rows["item_id"]).to_numpy())


def _price_vs_usual(rows: pd.DataFrame, scope: Scope) -> Floats:
    key = ["store_id", "item_id"]
    usual = scope.usual_prices if len(scope.usual_prices) else median_prices(rows)
    median = rows[key].merge(usual, how="left", left_on=key, right_index=True)["usual"]
    ratios = np.stack([rows["price"].to_numpy() / median.to_numpy(), _price_vs_list(rows, scope)])
    far = np.abs(np.log(np.where(ratios > 0, ratios, 1e-9)))
    nearest = np.argmin(np.where(np.isnan(far), np.inf, far), axis=0)
    return np.asarray(np.take_along_axis(ratios, nearest[None], axis=0)[0])


def _price_vs_before(rows: pd.DataFrame, scope: Scope) -> Floats:
    before = scope.stored.get("items")
    if before is None or before.empty:
        return np.full(len(rows), np.nan)
    last = _last_known(before.sort_values("recorded_at", kind="stable"), "item_id")["unit_price"]
    return np.asarray(rows["unit_price"].to_numpy() / last.reindex(rows["item_id"]).to_numpy())


def _days_off(rows: pd.DataFrame, scope: Scope) -> Floats:
    """Deviation from the usual delay where most of a store's rows of a day share it."""
    history = scope.history("sales", RECENT)
    both = pd.concat([history, rows])[["store_id", "date", "recorded_at"]]
    after = _days_after(both)
    low, usual, high = np.quantile(after, [0.05, 0.5, 0.95]) if len(after) else (0, 0, 0)
    if high - low > 0.5:  # no steady habit, nothing to deviate from
        return np.full(len(rows), np.nan)
    off = (after - usual)[len(history) :]
    # What this very delivery makes known is late by nature: nobody wrote down when it was known.
    off[rows["recorded_at"].to_numpy() >= (scope.until - JUST_NOW).to_datetime64()] = 0.0
    if not (np.abs(off) > 0.5).any():
        return off
    both["recorded_at"] = both["recorded_at"].dt.normalize()
    size = both.groupby([*both])["date"].transform("size")
    whole = size >= 0.5 * size.groupby(both["store_id"]).transform("median")
    # Two days and more is late, not mislabelled: `lateness` measures it.
    return np.where(whole.to_numpy()[len(history) :] & (np.abs(off) < 1.5), off, 0.0)


def _lateness(rows: pd.DataFrame, scope: Scope) -> Floats:
    history = scope.history("sales", RECENT)
    after = _days_after(rows)
    usual = np.concatenate([_days_after(history), after])
    if not len(usual):
        return after
    middle, high = np.quantile(usual, [0.5, 0.95])
    late = (after - middle) / max(1.0, high - middle)
    if (late > 1.5).any():  # a correction may come at any time; only a first report can be late
        late[_corrects(rows, scope)] = np.nan
    return np.asarray(late)


def _corrects(rows: pd.DataFrame, scope: Scope) -> np.ndarray:
    key = [*TABLES["sales"].key]
    history = scope.history("sales", 0)
    both = pd.concat([history[[*key, "recorded_at"]], rows[[*key, "recorded_at"]]])
    first = both.groupby(key)["recorded_at"].transform("min")
    return np.asarray(both["recorded_at"] > first)[len(history) :]


_IDS = {
    "stores": ("store_id",),
    "items": ("item_id",),
    **dict.fromkeys(SERIES, ("store_id", "item_id")),
}


def _country_known(rows: pd.DataFrame, _scope: Scope) -> Floats:
    import holidays

    return np.asarray(rows["country"].isin(holidays.list_supported_countries()), dtype=np.float64)


def _timezone_known(rows: pd.DataFrame, _scope: Scope) -> Floats:
    return np.asarray(rows["timezone"].isin(available_timezones()), dtype=np.float64)


_OWN: dict[str, dict[str, Callable[[pd.DataFrame, Scope], Floats]]] = {
    "stores": {"country_known": _country_known, "timezone_known": _timezone_known},
    "items": {"price_vs_before": _price_vs_before},
    "plan": {"price_vs_usual": _price_vs_usual},
    "sales": {
        "days_open": _days_open,
        "price_vs_usual": _price_vs_usual,
        "days_off": _days_off,
        "lateness": _lateness,
        "stock_agreement": trade.stock_agreement,
        "rows_vs_lowest": trade.rows_vs_lowest,
        "misfit": trade.label_misfit,
    },
    "weather_observed": {
        "temp_vs_season": gauges.temp_vs_season,
        "rain_vs_record": gauges.rain_vs_record,
        "dry_surprise": gauges.dry_surprise,
        "rain_vs_season": gauges.rain_vs_season,
    },
}
