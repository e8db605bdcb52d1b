"""Demand given the observed weather: a pooled log-linear count model, and sales un-censored.

log E[demand] of a day is a sum of terms (level, season, price, rain …), their coefficients pooled
over stores and items as `regression` says. Days sold out count with their expected demand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.contract.panel import day_number, day_numbers
from salescast.features.drivers import YEAR_DAYS
from salescast.models.calibration import CalibratedWeather
from salescast.models.counts import CountMixture

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WEEKDAYS = tuple(f"weekday_{day}" for day in range(7))
# How far the chain's effect may plausibly be from none, and a store's or an item's from the
# chain's: prior standard deviations on the log scale, where 0.1 is a tenth more or less demand.
# They matter while history is short: half a year of sales cannot separate trend and season.
SPREAD: Mapping[str, tuple[float, float]] = {
    "level": (10.0, 0.5),
    "years": (0.1, 0.1),
    "season_cos": (0.3, 0.1),
    "season_sin": (0.3, 0.1),
    "christmas": (0.7, 0.1),
    "holiday": (0.5, 0.1),
    "log_price": (2.0, 0.7),
    "promo": (1.0, 0.2),
    "temp_anomaly": (0.05, 0.03),
    "wet": (1.0, 0.3),
    "amount": (0.5, 0.1),
    "weekend_wet": (0.3, 0.05),
    "weekend_amount": (0.3, 0.05),
    "storm": (0.3, 0.05),
    "surprise": (0.3, 0.1),
    **dict.fromkeys(WEEKDAYS, (1.0, 0.1)),
    # The change from `since` on: a rival opens, or rain no longer sells as it did.
    "shift": (0.3, 0.15),
    "shift_wet": (0.3, 0.05),
    "shift_amount": (0.1, 0.03),
}
TERMS = tuple(SPREAD)
NEVER = 1e6  # a day number beyond all calendars
DEFAULTS: Mapping[str, Any] = {
    "recent_days": 56.0,
    "drift": 1.0,
    "departure": 1.0,
    "since": None,
    "solver": "newton",
}
# How far demand may drift within the recent days; a departure beyond its noise is kept.
DRIFT: Mapping[str, float] = {"chain": 0.06, "store": 0.03, "item": 0.03, "series": 0.03}
SATURATION_MM = 15.0  # beyond that more rain sells no more umbrellas
MAX_LOG = 14.0  # 1.2 million units a day, beyond the contract
TINY = 1e-9  # units: as good as none
STEPS, ROUNDS = 8, 5  # of the regression without the days sold out, then with them imputed


@dataclass(frozen=True)
class Response:
    """The fitted coefficients, (groups, terms); k by item, recent level by series.

    Row 0 of `stores` and `items` is for an unknown one: no departure from the chain. `cutoff` and
    `since`, from which on customers behave differently, are days since 1970.
    """

    store_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    chain: Floats
    stores: Floats
    items: Floats
    series: Floats
    dispersion: Floats
    cutoff: float
    recent: Floats
    since: float

    def codes(self, rows: pd.DataFrame) -> tuple[Ints, Ints]:
        """Return each row's store and item as positions, 0 for an unknown one."""
        store = pd.Index(self.store_ids).get_indexer(rows["store_id"]) + 1
        item = pd.Index(self.item_ids).get_indexer(rows["item_id"]) + 1
        return store, item


def terms(rows: pd.DataFrame, wet: Floats, rain_mm: Floats, cutoff: float, since: float) -> Floats:
    """Return the value of each term, (n, len(TERMS)), for days of `wet` (0 or 1) rain of `rain_mm`.

    `rows` need date, temp_anomaly, storm, spell and the calendar and price features; `cutoff` and
    `since` as in `Response`.
    """
    day = day_numbers(rows["date"]).astype(float)
    angle = 2 * np.pi * day / YEAR_DAYS
    weekday = rows["weekday"].to_numpy()
    weekend, shift = (weekday >= 5).astype(float), (day >= since).astype(float)
    amount = wet * np.log1p(np.minimum(rain_mm, SATURATION_MM))
    values = {
        **{name: rows[name].to_numpy() for name in TERMS if name in rows},
        "level": np.ones(len(rows)),
        "years": (day - cutoff) / YEAR_DAYS,
        "season_cos": np.cos(angle),
        "season_sin": np.sin(angle),
        "log_price": np.log(rows["price_ratio"].to_numpy()),
        "wet": wet,
        "amount": amount,
        "weekend_wet": weekend * wet,
        "weekend_amount": weekend * amount,
        "surprise": wet * rows["spell"].to_numpy(),
        **{name: (weekday == i).astype(float) for i, name in enumerate(WEEKDAYS)},
        "shift": shift,
        "shift_wet": shift * wet,
        "shift_amount": shift * amount,
    }
    return np.column_stack([values[name] for name in TERMS])


def _observed_terms(happened: pd.DataFrame, cutoff: float, since: float) -> Floats:
    wet, rain_mm = (happened[name].to_numpy() for name in ("rain_probability", "rain_mm"))
    return terms(happened, wet, rain_mm, cutoff, since)


def mixture(response: Response, rows: pd.DataFrame, weather: CalibratedWeather) -> CountMixture:
    """Return the distribution of demand over the possible weather of each feature row.

    A mixture over rain × storm before × dry spell before. Nodes: dry or five amounts, each with and
    without a storm, the wet ones also with and without a spell.
    """
    store, item = response.codes(rows)
    slopes = response.chain + response.stores[store] + response.items[item]
    slope = dict(zip(TERMS, slopes.T, strict=True))
    zero = np.zeros(len(rows))
    calm = rows.assign(storm=0.0, spell=0.0, temp_anomaly=weather.temp_anomaly)
    dry = terms(calm, zero, zero, response.cutoff, response.since)
    base = (dry * slopes).sum(axis=1)
    base += response.series[store, item] + np.log(response.recent[store, item])
    weekend = (rows["weekday"].to_numpy() >= 5).astype(float)
    shift = dry[:, TERMS.index("shift")]
    amount = np.log1p(np.minimum(weather.rain_mm, SATURATION_MM))
    rain = (slope["wet"] + weekend * slope["weekend_wet"] + shift * slope["shift_wet"])[:, None]
    per_amount = slope["amount"] + weekend * slope["weekend_amount"] + shift * slope["shift_amount"]
    rain = rain + per_amount[:, None] * amount
    wet, spell, storm = (c[:, None] for c in (weather.wet, weather.spell, weather.storm))
    wet_each = wet / amount.shape[1] * np.ones_like(amount)
    logs = np.column_stack([zero, rain, rain + slope["surprise"][:, None]])
    weights = np.column_stack([1.0 - wet, wet_each * (1.0 - spell), wet_each * spell])
    logs = base[:, None] + np.column_stack([logs, logs + slope["storm"][:, None]])
    weights = np.column_stack([weights * (1.0 - storm), weights * storm])
    means = np.exp(np.clip(logs, -MAX_LOG, MAX_LOG))
    return CountMixture(weights, means, response.dispersion[item])


def fit(happened: pd.DataFrame, params: Mapping[str, Any] = DEFAULTS) -> Response:
    """Fit the response to what happened (`point_in_time.past`), sold-out days un-censored.

    `params`: recent_days the level may have drifted over, factors on how far it may (`drift`)
    and how far stores and items may depart from the chain (`departure`), the day `since` which
    customers behave differently or None, and the `solver` of the regression. Quasi-likelihood with
    the variance m + m² ÷ k; between steps, k by moments and E[demand | demand ≥ sold] for the days
    sold out.
    """
    stores, store = np.unique(happened["store_id"].to_numpy(str), return_inverse=True)
    items, item = np.unique(happened["item_id"].to_numpy(str), return_inverse=True)
    cutoff = float(day_number(happened["date"].max()))
    since = NEVER if params["since"] is None else float(day_number(params["since"]))
    days = _Days(
        _observed_terms(happened, cutoff, since),
        np.column_stack([store, item]),
        happened["units"].to_numpy(float),
        happened["sold_out"].to_numpy(bool),
    )
    regressor, demand, k = _fit_regression(days, params)
    chain, own_store, own_item, own_series = regressor.coefficients()
    recent = _recent(days, demand, regressor.predict(days.x, days.groups), k, params)
    unknown = np.zeros((1, len(TERMS)))
    return Response(
        tuple(stores),
        tuple(items),
        chain,
        np.vstack([unknown, own_store]),
        np.vstack([unknown, own_item]),
        np.pad(own_series, ((1, 0), (1, 0))),
        np.concatenate([[np.median(k)], k]),
        cutoff,
        np.pad(recent, ((1, 0), (1, 0)), constant_values=1.0),
        since,
    )


@dataclass(frozen=True)
class _Days:
    """The days sold: terms (n, terms), store and item (n, 2), units and whether sold out (n,)."""

    x: Floats
    groups: Ints
    sold: Floats
    sold_out: NDArray[np.bool_]


def _fit_regression(days: _Days, params: Mapping[str, Any]) -> tuple[Any, Floats, Floats]:
    """Return the fitted regressor, the demand it was fitted to, and k by item."""
    from salescast.models.regression import PooledRegressor

    spread = np.array(list(SPREAD.values())).T * [[1.0], [params["departure"]]]
    regressor = PooledRegressor(spread, params["solver"], max_iter=1, warm_start=True)
    item = days.groups[:, 1]
    demand, k = days.sold, np.full(item.max() + 1, 5.0)
    mean = np.full(len(demand), max(demand.mean(), 1e-3))
    # Days sold out join once the rest has converged: imputing from a poor start would stay.
    for step in range(STEPS + ROUNDS):
        counted = ~days.sold_out if step < STEPS else 1.0
        regressor.fit(days.x, demand, counted / (1.0 + mean / k[item]), days.groups)
        mean = regressor.predict(days.x, days.groups)
        if step >= STEPS - 1:
            first, second = _beyond(days.sold, mean, k[item])
            demand = np.where(days.sold_out, first, days.sold)
            square = second + first - 2.0 * mean * first + mean**2  # E[(D − m)² | D ≥ sold]
            square = np.where(days.sold_out, square, (days.sold - mean) ** 2)
            k = dispersion(square, mean, item, len(k))
    return regressor, demand, k


def uncensor(happened: pd.DataFrame, response: Response | None = None) -> pd.DataFrame:
    """Return what happened with `demand`: units, or where sold out the expected demand beyond.

    `response`: fitted to these days or more; default: to these.
    """
    response = fit(happened) if response is None else response
    mean, k, _ = _given_weather(happened, response)
    sold = happened["units"].to_numpy(float)
    beyond = uncensored(sold, mean, k)
    return happened.assign(demand=np.where(happened["sold_out"], beyond, sold))


def shift_evidence(happened: pd.DataFrame, response: Response, shift: float) -> pd.DataFrame:
    """Return how each day sold speaks for demand × (1 + shift), given the observed weather.

    Columns `expected` (units), `variance`, and `log_ratio`: log P(sold | shifted) − log P(sold). Of
    a day sold out, demand was at least so much. On average below 0 without a shift.
    """
    mean, k, recent = _given_weather(happened, response)
    mean = mean * recent
    shifted = mean * (1.0 + shift)
    sold = happened["units"].to_numpy(float)
    exact = sold * np.log1p(shift) + (k + sold) * np.log((k + mean) / (k + shifted))
    at_least = np.log(_reaches(sold, shifted, k)) - np.log(_reaches(sold, mean, k))
    log_ratio = np.where(happened["sold_out"].to_numpy(bool), at_least, exact)
    return happened.assign(expected=mean, variance=mean + mean**2 / k, log_ratio=log_ratio)


def _reaches(sold: Floats, mean: Floats, k: Floats) -> Floats:
    """Return P(D ≥ sold) for a negative binomial D, never 0."""
    from scipy.special import betainc

    tail: Floats = betainc(np.maximum(sold, 1.0), k, mean / (mean + k))
    return np.where(sold < 1, 1.0, np.maximum(tail, 1e-300))


def _given_weather(happened: pd.DataFrame, response: Response) -> tuple[Floats, Floats, Floats]:
    """Return the mean, k and the recent level of each day sold, (n,) each."""
    store, item = response.codes(happened)
    x = _observed_terms(happened, response.cutoff, response.since)
    slopes = response.chain + response.stores[store] + response.items[item]
    logs = (x * slopes).sum(axis=1) + response.series[store, item]
    mean = np.exp(np.clip(logs, -MAX_LOG, MAX_LOG))
    return mean, response.dispersion[item], response.recent[store, item]


def uncensored(sold: Floats, mean: Floats, k: Floats) -> Floats:
    """Return E[D | D ≥ sold] for a negative binomial D with `mean` and dispersion `k`."""
    first, _ = _beyond(sold, mean, k)
    return first


def _beyond(sold: Floats, mean: Floats, k: Floats) -> tuple[Floats, Floats]:
    """Return E[D | D ≥ sold] and E[D(D − 1) | D ≥ sold].

    d·pmf(d; k) = mean · pmf(d − 1; k + 1) with the same p, so that each factorial moment of the
    tail is a tail of a negative binomial with a larger k.
    """
    from scipy.special import betainc

    share = mean / (mean + k)  # P(D ≥ s) = I_share(s, k) for s ≥ 1

    def tail(s: Floats, shape: Floats) -> Floats:
        beyond: Floats = betainc(np.maximum(s, 1.0), shape, share)
        return np.where(s < 1, 1.0, beyond)

    chance = tail(sold, k)
    likely = chance > 1e-12
    chance = np.where(likely, chance, 1.0)
    first = mean * tail(sold - 1, k + 1.0) / chance
    second = mean**2 * (1.0 + 1.0 / k) * tail(sold - 2, k + 2.0) / chance
    # Where selling so much was all but impossible, the tail decays faster than k matters.
    least = np.where(likely, np.maximum(first, sold), sold * 1.1 + 1.0)
    return least, np.where(likely, np.maximum(second, least * (least - 1.0)), least**2)


def dispersion(square: Floats, mean: Floats, group: Ints, groups: int) -> Floats:
    """Return k of each group by moments, Σ((y − m)² − m) = Σ m² ÷ k, within [0.2, 1e6].

    `square`: (y − m)², or its expectation where y is unknown.
    """
    excess = np.bincount(group, square - mean, groups)
    whole = np.bincount(group, mean**2, groups)
    return np.clip(whole / np.maximum(excess, 1e-9), 0.2, 1e6)


def _recent(
    days: _Days, demand: Floats, mean: Floats, k: Floats, params: Mapping[str, Any]
) -> Floats:
    """Return how far each series lately departs from its expectation, (stores, items).

    A ratio of sums over the last days, shrunk by its own noise (an empirical-Bayes weight,
    Morris 1983), first for the chain, then for what is left of store, item and series.
    """
    stores, items = (int(n) + 1 for n in days.groups.max(axis=0))
    late = days.x[:, TERMS.index("years")] * YEAR_DAYS > -params["recent_days"]
    code = days.groups[late, 0] * items + days.groups[late, 1]
    demand, mean, k = demand[late], mean[late], k[days.groups[late, 1]]
    every = np.arange(stores * items)
    group_of = {"chain": 0 * every, "store": every // items, "item": every % items, "series": every}
    factor = np.ones(len(every))
    for name, of_series in group_of.items():
        group, count = of_series[code], int(of_series.max()) + 1
        expected = mean * factor[code]
        total = np.maximum(np.bincount(group, expected, count), TINY)
        noise = np.bincount(group, expected + expected**2 / k, count) / total**2
        drift = (params["drift"] * DRIFT[name]) ** 2
        weight = np.where(total > TINY, drift / (drift + noise), 0.0)  # no days, no departure
        ratio = 1.0 + weight * (np.bincount(group, demand, count) / total - 1.0)
        factor *= ratio[of_series]
    return factor.reshape(stores, items)
