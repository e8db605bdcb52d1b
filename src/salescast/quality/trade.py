"""Measures of days, places and series: what sales as a whole give away."""

import numpy as np
import pandas as pd

from salescast.contract.panel import Floats, day_numbers, entity_rows
from salescast.quality.scope import Matrices, Scope

WEEKS = 26  # of the same weekday, to know how many rows are usual
LEAST_PRICES = 6  # rows of a day, to speak of most of them
ALWAYS = 8  # of the same weekday with sales: the ninth without any is a question
WINDOW, LEAST = 28, 20  # days of sales whose labels are examined; fewer with sales say nothing


def sales_by_day(scope: Scope, prices: pd.Series) -> pd.DataFrame:
    """Return each fresh day whose rows are due, with its rows against its weekday's history.

    `prices` is the fresh rows' price_vs_usual.
    """
    sales = scope.sales
    fresh = scope.fresh_days("sales")
    if sales is None or not len(fresh):
        return pd.DataFrame(columns=["date", "rows", "rows_vs_lowest", "price_jumps"])
    counts = (~np.isnan(sales.values["units"])).sum(axis=0).astype(np.float64)
    fresh = fresh[fresh <= scope.last_day + 1 - scope.due_after]
    where = fresh - sales.first
    jumped = ((prices < 0.2) | (prices > 5)).groupby(day_numbers(scope.rows("sales")["date"]))
    jumps = jumped.mean().where(jumped.size() >= LEAST_PRICES)
    return pd.DataFrame(
        {
            "date": _dates(fresh),
            "rows": counts[where],
            "rows_vs_lowest": [counts[day] / _fewest(counts, day) for day in where],
            "price_jumps": jumps.reindex(fresh).to_numpy(),
        }
    )


def _fewest(counts: Floats, day: int) -> float:
    """Return the fewest plausible rows of `day`, NaN with less than six earlier same weekdays.

    At most 65 % of the weekday's median, and as far below it as half a year of days demands:
    2.5 times the distance (in logarithms) of their 5 % quantile from their weekday's median.
    """
    before = counts[max(0, day - 7 * WEEKS) : day]
    before = np.where(before > 0, before, np.nan)
    medians = [np.nan] * 7
    for lag in range(1, 8):
        same = before[-lag::-7]
        told = same[~np.isnan(same)]
        medians[lag - 1] = np.median(told) if len(told) >= 6 else np.nan
    usual = np.array([medians[lag % 7] for lag in range(len(before))])[::-1]
    share = before / usual
    if np.isnan(medians[6]):
        return float("nan")
    return float(medians[6] * min(0.65, np.nanquantile(share, 0.05) ** 2.5))


def sales_by_place(scope: Scope) -> pd.DataFrame:
    """Return per place and fresh day how badly the last 28 days fit their labels, and silence."""
    sales, fresh = scope.sales, scope.fresh_days("sales")
    columns = ["location_id", "date", "misfit", "silent"]
    if sales is None or not len(fresh) or len(sales.days) < 8 * 7:
        return pd.DataFrame(columns=columns)
    where = scope.stores.drop_duplicates("store_id", keep="last").set_index("store_id")
    place = where["location_id"].reindex(sales.entities["store_id"]).to_numpy(object)
    places = [name for name in pd.unique(place) if isinstance(name, str)]
    weekday = (sales.days + 3) % 7  # 1970-01-01 was a Thursday
    excess = [_excess(sales, place == name, weekday) for name in places]
    if not excess:
        return pd.DataFrame(columns=columns)
    due = fresh <= scope.last_day + 1 - scope.due_after
    silent = np.stack([_silent(sales, place == name) for name in places])[:, fresh - sales.first]
    scores = misfit(np.stack(excess), _rain(scope, places), weekday)[:, fresh - sales.first]
    return pd.DataFrame(
        {
            "location_id": np.repeat(places, len(fresh)),
            "date": np.tile(_dates(fresh), len(places)),
            "misfit": scores.ravel(),
            "silent": (silent * due).ravel(),
        }
    )


def _silent(sales: Matrices, ours: np.ndarray) -> Floats:
    """Return 1 for each day without a row of a place that always traded on the weekday before."""
    told = ~np.isnan(sales.values["units"][ours]).all(axis=0)
    before = np.stack([np.roll(told, 7 * week) for week in range(1, ALWAYS + 1)])
    before[:, : 7 * ALWAYS] = False
    return np.asarray(~told & before.all(axis=0), dtype=np.float64)


def _excess(sales: Matrices, ours: np.ndarray, weekday: np.ndarray) -> Floats:
    """Return the log of a place's daily units against the level of the series that had stock.

    The level is the mean of 29 days. NaN on days without a row, but zero sales on a weekday
    that is usually closed: what is sold there after all is dated wrongly.
    """
    units = np.maximum(sales.values["units"][ours], 0)
    closed = np.isnan(units).all(axis=0)
    shut = np.array([closed[weekday == day].mean() > 0.5 for day in range(7)])[weekday]
    level = pd.DataFrame(np.where(shut, np.nan, units).T)
    level = level.rolling(29, center=True, min_periods=7).mean().to_numpy().T
    told = ~np.isnan(units) & ~np.isnan(level) & (sales.values["sold_out"][ours] != 1)
    sold, usual = (np.where(told, part, 0.0).sum(axis=0) for part in (units, level))
    everything = np.nan_to_num(level).sum(axis=0)
    excess = np.log((sold + 1) / (usual + 1))
    return np.where(closed, np.where(shut, -np.log(everything + 1), np.nan), excess)


def _rain(scope: Scope, places: list[str]) -> Floats:
    sales, observed = scope.sales, scope.observed
    assert sales is not None
    rain = np.full((len(places), len(sales.days)), np.nan)
    if observed is not None:
        days = sales.days - observed.first
        seen = (days >= 0) & (days < len(observed.days))
        gauge = pd.Index(observed.entities["location_id"]).get_indexer(places)
        rows = np.flatnonzero(gauge >= 0)
        rain[np.ix_(rows, seen)] = observed.values["precip_mm"][np.ix_(gauge[rows], days[seen])]
    return rain


def misfit(excess: Floats, rain: Floats, weekday: np.ndarray) -> Floats:
    """Return per place and day: error of 28 days under their own labels ÷ a neighbour's.

    Log sales above their level are explained by weekday and rain; then each day is compared
    with what was to be expected of it, of the day before and of the day after. Above 1 the
    neighbouring day explains the sales better than their own. Arrays are (places, days).
    """
    usual = _by_weekday(excess, weekday)
    wet = np.nan_to_num(np.stack([rain > 0, np.log1p(np.maximum(rain, 0))], axis=-1))
    wet -= wet.mean(axis=1, keepdims=True)
    known = ~np.isnan(excess - usual)
    effect, *_ = np.linalg.lstsq(wet[known], (excess - usual)[known], rcond=None)
    expected = usual + wet @ effect
    errors = np.abs(excess - np.stack([expected, *_neighbours(expected)]))
    valid = ~np.isnan(errors).any(axis=0)
    own, before, after = _rolling(np.where(valid, errors, 0.0))
    enough = _rolling(valid.astype(np.float64)) >= LEAST
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(enough, own / np.minimum(before, after), np.nan)


def _neighbours(expected: Floats) -> tuple[Floats, Floats]:
    edge = np.full((len(expected), 1), np.nan)
    return np.hstack([edge, expected[:, :-1]]), np.hstack([expected[:, 1:], edge])


def _by_weekday(values: Floats, weekday: np.ndarray) -> Floats:
    medians = np.stack(
        [pd.DataFrame(values[:, weekday == day].T).median().to_numpy() for day in range(7)], axis=1
    )
    return medians[:, weekday]


def _rolling(values: Floats) -> Floats:
    """Sum of the last 28 days along the last axis, fewer at the beginning."""
    total = np.cumsum(values, axis=-1)
    return np.concatenate([total[..., :WINDOW], total[..., WINDOW:] - total[..., :-WINDOW]], -1)


def series(scope: Scope) -> pd.DataFrame:
    """Return each store and each regularly sold series with the trading days it misses now."""
    columns = ["store_id", "item_id", "newest", "days_missing", "days_missing_vs_usual"]
    sales = scope.sales
    if sales is None:
        return pd.DataFrame(columns=columns)
    told = ~np.isnan(sales.values["units"][:, : 1 + len(sales.days) - scope.due_after])
    told = told[:, -182:]
    first = sales.first + max(0, len(sales.days) + 1 - scope.due_after - 182)
    names, told = _with_stores(sales.entities, told)
    told, days = told[:, trading := _trading(told)], (first + np.arange(told.shape[1]))[trading]
    if not told.shape[1]:  # the newest row is older than what is looked at
        return pd.DataFrame(columns=columns)
    missing, ratio = _missing(told)
    newest = np.array([days[row.nonzero()[0][-1]] if row.any() else -1 for row in told])
    rows = names.assign(newest=_dates(newest), days_missing=missing, days_missing_vs_usual=ratio)
    return rows[_regular(told, missing)][columns].reset_index(drop=True)


def _with_stores(names: pd.DataFrame, told: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Add each store as a series of its own, told when any of its items is."""
    stores = names["store_id"].unique()
    any_item = [told[(names["store_id"] == store).to_numpy()].any(axis=0) for store in stores]
    whole = pd.DataFrame({"store_id": stores, "item_id": "(any)"})
    return pd.concat([names, whole], ignore_index=True), np.vstack([told, *any_item])


def _regular(told: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return the series told on most trading days before they fell silent, 60 days ago at most."""
    days = told.shape[1] - missing - np.argmax(told, axis=1)
    seen = told.sum(axis=1)
    return np.asarray((seen >= WINDOW) & (seen >= 0.8 * days) & (missing <= 60))


def _trading(told: np.ndarray) -> np.ndarray:
    """Return the days on which somebody traded; a silence longer than ever counts as trade."""
    trading = np.asarray(told.any(axis=0))
    silent = len(trading) - 1 - np.flatnonzero(trading)[-1] if trading.any() else 0
    if silent > longest_pause(trading):
        trading = trading.copy()
        trading[-silent:] = True
    return trading


def longest_pause(told: np.ndarray) -> int:
    """Return the longest run of days without a row between two with one."""
    return int(np.diff(np.flatnonzero(told)).max(initial=1)) - 1


def _missing(told: np.ndarray) -> tuple[np.ndarray, Floats]:
    length = told.shape[1]
    last = np.where(told.any(axis=1), length - 1 - np.argmax(told[:, ::-1], axis=1), -1)
    missing = length - 1 - last
    pause = np.array([longest_pause(row) for row in told])
    return missing, missing / np.maximum(2, 1.5 * pause)


def stock_agreement(rows: pd.DataFrame, scope: Scope) -> Floats:
    """Return for each sales row the share of its store's items whose units left the stock.

    on_hand falls by the units sold and rises by no more than was on order. A store of few items
    counts with its whole place. NaN where that cannot be told: no stock, or a retailer whose
    stock seldom agrees.
    """
    stock, sales = scope.matrices("stock", 29), scope.sales
    unknown = np.full(len(rows), np.nan)
    if stock is None or sales is None or rows.empty:
        return unknown
    names, agrees = _agreement(sales, stock)
    share = _shares(agrees, names["store_id"].to_numpy(object), scope)
    if not np.nanmedian(share) >= 0.9:
        return unknown
    store = share.index.get_indexer(rows["store_id"])
    day = day_numbers(rows["date"]) - stock.first
    known = (store >= 0) & (day >= 0) & (day < share.shape[1])
    unknown[known] = share.to_numpy()[store[known], day[known]]
    return unknown


def _shares(agrees: Floats, store: np.ndarray, scope: Scope) -> pd.DataFrame:
    """Return the share of agreeing series per store and day, of the place's for few items."""
    last = scope.stores.drop_duplicates("store_id", keep="last").set_index("store_id")
    code, stores = pd.factorize(store)
    place, _ = pd.factorize(last["location_id"].reindex(stores), use_na_sentinel=False)
    of_store, told = _means(agrees, code)
    of_place, beside = _means(agrees, place[code])
    fallback = np.where(beside >= 2, of_place, np.nan)[place]
    return pd.DataFrame(np.where(told >= 3, of_store, fallback), index=stores)


def _means(values: Floats, group: np.ndarray) -> tuple[Floats, Floats]:
    """Return the mean of each group's rows where known, NaN where none is, and how many are."""
    member = (np.arange(group.max(initial=-1) + 1)[:, None] == group).astype(float)
    known = ~np.isnan(values)
    count = member @ known
    with np.errstate(invalid="ignore"):
        return member @ np.where(known, values, 0.0) / count, count


def _agreement(sales: Matrices, stock: Matrices) -> tuple[pd.DataFrame, Floats]:
    """Return the series and, per day of `stock`, 1 where units fit the stock, 0 where not."""
    row = entity_rows(sales.entities, stock.entities)
    names, kept = stock.entities[row >= 0], row >= 0
    days = stock.days - sales.first
    sold = np.full((len(names), len(days)), np.nan)
    seen = (days >= 0) & (days < len(sales.days))
    sold[:, seen] = sales.values["units"][row[kept]][:, days[seen]]
    on_hand, on_order = (stock.values[name][kept] for name in ("on_hand", "on_order"))
    arrived = sold[:, 1:] + np.diff(on_hand, axis=1)
    agrees = np.full(sold.shape, np.nan)
    # Empty shelves agree with no sales on any day: they say nothing about labels.
    moved = (sold[:, 1:] > 0) | (on_hand[:, 1:] > 0) | (on_hand[:, :-1] > 0)
    told = ~np.isnan(arrived + on_order[:, :-1]) & (sold[:, 1:] >= 0) & moved
    fits = (arrived >= 0) & (arrived <= on_order[:, :-1])
    agrees[:, 1:] = np.where(told, fits, np.nan)
    return names, agrees


def _dates(days: np.ndarray) -> np.ndarray:
    return np.asarray(days).astype("datetime64[D]").astype("datetime64[us]")
