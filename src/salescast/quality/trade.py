"""Measures of sales as a whole: rows a day, prices a day, labels of days, agreement with stock."""

import numpy as np
import pandas as pd

from salescast.contract.panel import Floats, day_numbers, entity_rows
from salescast.quality.scope import Matrices, Scope

WEEKS = 26  # of the same weekday, to know how many rows are usual
LEAST_PRICES = 6  # rows of a day, to speak of most of them
WINDOW, LEAST = 28, 20  # days of sales whose labels are examined; fewer with sales say nothing


def rows_vs_lowest(rows: pd.DataFrame, scope: Scope) -> Floats:
    """Return for each row the rows of its day ÷ the fewest plausible; NaN where not yet due."""
    if scope.sales is None:
        return np.full(len(rows), np.nan)
    sales, fresh = scope.sales, scope.fresh_days("sales")
    counts = (~np.isnan(sales.values["units"])).sum(axis=0).astype(np.float64)
    due = fresh[fresh <= scope.last_day + 1 - scope.due_after]
    ratios = [counts[day] / _fewest(counts, day) for day in due - sales.first]
    of_day = pd.Series(ratios, due, dtype="float64")
    return np.asarray(of_day.reindex(day_numbers(rows["date"])))


def price_jumps(rows: pd.DataFrame, prices: Floats) -> Floats:
    """Return for each row the share of its day's rows whose price is far from usual.

    `prices`: the rows' price_vs_usual. NaN on days of few rows.
    """
    jumped = pd.Series((prices < 0.2) | (prices > 5), rows.index).groupby(rows["date"])
    share = jumped.transform("mean").where(jumped.transform("size") >= LEAST_PRICES)
    return np.asarray(share, dtype=np.float64)


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
        counted = same[~np.isnan(same)]
        medians[lag - 1] = np.median(counted) if len(counted) >= 6 else np.nan
    usual = np.array([medians[lag % 7] for lag in range(len(before))])[::-1]
    share = before / usual
    if np.isnan(medians[6]):
        return float("nan")
    return float(medians[6] * min(0.65, np.nanquantile(share, 0.05) ** 2.5))


def label_misfit(rows: pd.DataFrame, scope: Scope) -> Floats:
    """Return for each row how badly 28 days of its place fit their labels, as `misfit` does."""
    unknown = np.full(len(rows), np.nan)
    sales = scope.sales
    if sales is None or rows.empty or len(sales.days) < 8 * 7:
        return unknown
    weekday = (sales.days + 3) % 7  # 1970-01-01 was a Thursday
    places = scope.places(sales)
    if not places:
        return unknown
    excess = np.stack([_excess(sales, members, weekday) for members in places.values()])
    scores = misfit(excess, _rain(scope, sales, [*places]), weekday)
    stores = scope.stores.drop_duplicates("store_id", keep="last").set_index("store_id")
    place = pd.Index([*places]).get_indexer(stores["location_id"].reindex(rows["store_id"]))
    day = day_numbers(rows["date"]) - sales.first
    known = (place >= 0) & (day >= 0) & (day < len(sales.days))
    unknown[known] = scores[place[known], day[known]]
    return unknown


def _excess(sales: Matrices, members: np.ndarray, weekday: np.ndarray) -> Floats:
    """Return the log of a place's daily units against the level of the series that had stock.

    The level is the mean of 29 days. NaN on days without a row, but zero sales on a weekday
    that is usually closed: what is sold there after all is dated wrongly.
    """
    units = np.maximum(sales.values["units"][members], 0)
    closed = np.isnan(units).all(axis=0)
    shut = np.array([closed[weekday == day].mean() > 0.5 for day in range(7)])[weekday]
    level = pd.DataFrame(np.where(shut, np.nan, units).T)
    level = level.rolling(29, center=True, min_periods=7).mean().to_numpy().T
    counted = ~np.isnan(units) & ~np.isnan(level) & (sales.values["sold_out"][members] != 1)
    sold, usual = (np.where(counted, part, 0.0).sum(axis=0) for part in (units, level))
    everything = np.nan_to_num(level).sum(axis=0)
    excess = np.log((sold + 1) / (usual + 1))
    return np.where(closed, np.where(shut, -np.log(everything + 1), np.nan), excess)


def _rain(scope: Scope, sales: Matrices, places: list[str]) -> Floats:
    observed = scope.observed
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


def stock_agreement(rows: pd.DataFrame, scope: Scope) -> Floats:
    """Return for each sales row the share of its store's items whose units left the stock.

    on_hand falls by the units sold and rises by no more than was on order. A store of few items
    counts with its whole place. NaN where that cannot be counted: no stock, or a retailer whose
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
    of_store, counted = _means(agrees, code)
    of_place, at_place = _means(agrees, place[code])
    fallback = np.where(at_place >= 2, of_place, np.nan)[place]
    return pd.DataFrame(np.where(counted >= 3, of_store, fallback), index=stores)


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
    counted = ~np.isnan(arrived + on_order[:, :-1]) & (sold[:, 1:] >= 0) & moved
    fits = (arrived >= 0) & (arrived <= on_order[:, :-1])
    agrees[:, 1:] = np.where(counted, fits, np.nan)
    return names, agrees
