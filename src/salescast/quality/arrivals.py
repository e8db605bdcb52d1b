"""What should have arrived by now: sales of each place and series, observations, issues."""

import numpy as np
import pandas as pd

from salescast.contract.panel import day_numbers
from salescast.quality.scope import Matrices, Scope, as_dates

MEASURES = ("place_silent", "series_overdue", "gauge_overdue", "leads_vs_usual")
KEYS = ("store_id", "item_id", "location_id", "date", "issued_on", "newest")
ALWAYS = 8  # of the same weekday with sales: the ninth without any is a question
HALF_YEAR = 182
LONG_AGO = 60  # days without rows after which a series or a gauge is no longer expected
REGULAR = 28  # trading days with a row, to call a series regular


def arrivals(scope: Scope) -> pd.DataFrame:
    """Return a row for each thing expected of the delivered tables, with how overdue it is.

    Columns: KEYS, as far as they apply, and MEASURES; of these one is known in each row.
    """
    parts = []
    if "sales" in scope.fresh and scope.sales is not None:
        parts += [_places(scope, scope.sales), _series(scope, scope.sales)]
    if "weather_observed" in scope.fresh and scope.observed is not None:
        parts.append(_gauges(scope.observed))
    if "weather_forecast" in scope.fresh:
        parts.append(_issues(scope))
    columns = [*KEYS, *MEASURES]
    frame = pd.concat([p for p in parts if len(p)]) if any(map(len, parts)) else pd.DataFrame()
    frame = frame.reindex(columns=columns).reset_index(drop=True)
    return frame.astype(dict.fromkeys(MEASURES, "float64"))


def _places(scope: Scope, sales: Matrices) -> pd.DataFrame:
    """Return each place and due day: silent where it always traded on that weekday before."""
    fresh = scope.fresh_days("sales")
    fresh = fresh[fresh <= scope.last_day + 1 - scope.due_after]
    parts = []
    for name, members in scope.places(sales).items():
        has_row = (~np.isnan(sales.values["units"][members])).any(axis=0)
        before = np.stack([np.roll(has_row, 7 * week) for week in range(1, ALWAYS + 1)])
        before[:, : 7 * ALWAYS] = False
        silent = np.logical_and(~has_row, before.all(axis=0))[fresh - sales.first]
        columns = {"location_id": name, "date": as_dates(fresh), "place_silent": silent}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts) if parts else pd.DataFrame()


def _series(scope: Scope, sales: Matrices) -> pd.DataFrame:
    """Return each store and each regular series with the trading days it misses now."""
    has_row = ~np.isnan(sales.values["units"][:, : 1 + len(sales.days) - scope.due_after])
    days = sales.days[: has_row.shape[1]][-HALF_YEAR:]
    names, has_row = _with_stores(sales.entities, has_row[:, -HALF_YEAR:])
    trading = _trading(has_row)
    has_row, days = has_row[:, trading], days[trading]
    if not len(days):  # the newest row is older than half a year
        return pd.DataFrame()
    missing, overdue = _missing(has_row)
    newest = np.where(has_row.any(axis=1), days[len(days) - 1 - missing], -1)
    rows = names.assign(newest=as_dates(newest), series_overdue=overdue)
    known = len(days) - missing - np.argmax(has_row, axis=1)
    count = has_row.sum(axis=1)
    return rows[(count >= REGULAR) & (count >= 0.8 * known) & (missing <= LONG_AGO)]


def _with_stores(names: pd.DataFrame, has_row: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Add each store as a series, with a row where any of its items has one."""
    stores = names["store_id"].unique()
    any_item = [has_row[(names["store_id"] == store).to_numpy()].any(axis=0) for store in stores]
    whole = pd.DataFrame({"store_id": stores, "item_id": "(any)"})
    return pd.concat([names, whole], ignore_index=True), np.vstack([has_row, *any_item])


def _trading(has_row: np.ndarray) -> np.ndarray:
    """Return the trading days; a gap longer than any before counts as trading days without rows."""
    trading = np.asarray(has_row.any(axis=0))
    silent = len(trading) - 1 - np.flatnonzero(trading)[-1] if trading.any() else 0
    if silent > _longest_pause(trading):
        trading[-silent:] = True
    return trading


def _longest_pause(has_row: np.ndarray) -> int:
    """Return the longest run of days without a row between two with one."""
    return int(np.diff(np.flatnonzero(has_row)).max(initial=1)) - 1


def _missing(has_row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the days without a row at the end, and them ÷ 1.5 longest pauses, at least 2 days."""
    length = has_row.shape[1]
    newest = np.where(has_row.any(axis=1), length - 1 - np.argmax(has_row[:, ::-1], axis=1), -1)
    missing = length - 1 - newest
    pause = np.array([_longest_pause(row) for row in has_row])
    return missing, missing / np.maximum(2, 1.5 * pause)


def _gauges(observed: Matrices) -> pd.DataFrame:
    """Return each place with the days of observations it misses at the end."""
    missing, overdue = _missing(~np.isnan(observed.values["temp_c"]))
    newest = as_dates(observed.days[len(observed.days) - 1 - missing])
    frame = observed.entities.assign(newest=newest, gauge_overdue=overdue)
    return frame[missing <= LONG_AGO]


def _issues(scope: Scope) -> pd.DataFrame:
    """Return each place and day since the last known issue with the leads issued on it."""
    leads = _issued_leads(scope)
    days = np.unique(leads["issued_on"])
    if len(days) == 0 or (len(days) > 1 and np.median(np.diff(days)) != 1):
        return pd.DataFrame()  # no daily issues: nothing to miss
    usual = leads["leads"].median()
    stored = leads.loc[leads["stored"], "issued_on"]
    first = int(stored.max()) + 1 if len(stored) else int(days[0])
    due = pd.MultiIndex.from_product(
        [leads["location_id"].unique(), range(first, scope.last_day + 1)],
        names=["location_id", "issued_on"],
    )
    most = leads.groupby(["location_id", "issued_on"])["leads"].max()
    frame = most.reindex(due, fill_value=0).reset_index()
    issued_on = as_dates(frame["issued_on"].to_numpy())
    return frame.assign(issued_on=issued_on, leads_vs_usual=frame["leads"] / usual)


def _issued_leads(scope: Scope) -> pd.DataFrame:
    parts = [pd.DataFrame({"location_id": [], "issued_on": [], "leads": [], "stored": []})]
    for tables, stored in ((scope.stored, True), (scope.fresh, False)):
        rows = tables.get("weather_forecast")
        if rows is None or rows.empty:
            continue
        if stored:
            recent = scope.until - pd.Timedelta(days=LONG_AGO)
            rows = rows[rows["issued_at"] >= recent]
        issued_on = pd.Series(day_numbers(rows["issued_at"]), rows.index, name="issued_on")
        leads = rows.groupby([rows["location_id"], issued_on])["date"].nunique().rename("leads")
        parts.append(leads.reset_index().assign(stored=stored))
    return pd.concat(parts[1:]) if len(parts) > 1 else parts[0]
