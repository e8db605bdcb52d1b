"""Demand given the weather that came: a pooled log-linear count model, and sales un-censored.

log E[demand] of a day is a sum of terms (level, season, price, rain …), their coefficients pooled
over stores and items as `regression` says. Days sold out count with what was wanted beyond.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.features.drivers import YEAR_DAYS
from salescast.models.calibration import CalibratedWeather
from salescast.models.regression import MAX_LOG, Pool

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WEEKDAYS = tuple(f"weekday_{day}" for day in range(7))
# How far the chain's effect may plausibly be from none, and a store's or an item's from the
# chain's: prior standard deviations on the log scale, where 0.1 is a tenth more or less demand.
# They matter while history is short: half a year cannot tell a trend from a season.
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
    # What is otherwise from `since` on: a rival opens, or rain no longer sells as it did.
    "shift": (0.3, 0.15),
    "shift_wet": (0.3, 0.05),
    "shift_amount": (0.1, 0.03),
}
TERMS = tuple(SPREAD)
NEVER = 1e6  # a day number beyond all calendars
DEFAULTS: Mapping[str, float] = {
    "recent_days": 56.0,
    "drift": 1.0,
    "departure": 1.0,
    "since": NEVER,
}
# How far demand may drift within the recent days; more than its noise explains is believed.
DRIFT: Mapping[str, float] = {"chain": 0.06, "store": 0.03, "item": 0.03, "series": 0.03}
SATURATION_MM = 15.0  # beyond that more rain sells no more umbrellas
TINY = 1e-9  # units: as good as none
STEPS, ROUNDS = 8, 5  # of Newton without the days sold out, then with them imputed


@dataclass(frozen=True)
class Response:
    """What was learned: coefficients of shape (groups, terms), k by item, recent level by series.

    Row 0 of `stores` and `items` is for one never met: no departure from the chain. `cutoff` and
    `since`, from which on customers behave otherwise, are days since 1970.
    """

    store_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    chain: Floats
    stores: Floats
    items: Floats
    series: Floats
    dispersion: Floats
    cutoff: float
    recent: Floats = field(default_factory=lambda: np.ones((1, 1)))
    since: float = NEVER


def terms(
    rows: pd.DataFrame, cutoff: float, wet: Floats, rain_mm: Floats, since: float = NEVER
) -> Floats:
    """Return the value of each term, shape (n, len(TERMS)), for days of `wet` rain of `rain_mm`.

    `rows` need date, temp_anomaly, storm, spell and the calendar and price features; `cutoff` and
    `since` as in `Response`.
    """
    day = rows["date"].to_numpy().astype("datetime64[D]").astype(float)
    angle = 2 * np.pi * day / YEAR_DAYS
    weekday = rows["weekday"].to_numpy()
    weekend, shift = (weekday >= 5).astype(float), (day >= since).astype(float)
    amount = wet * np.log1p(np.minimum(rain_mm, SATURATION_MM))
    values = {
        "level": np.ones(len(rows)),
        "years": (day - cutoff) / YEAR_DAYS,
        "season_cos": np.cos(angle),
        "season_sin": np.sin(angle),
        "christmas": rows["christmas"].to_numpy(),
        "holiday": rows["holiday"].to_numpy(),
        "log_price": np.log(rows["price_ratio"].to_numpy()),
        "promo": rows["promo"].to_numpy(),
        "temp_anomaly": rows["temp_anomaly"].to_numpy(),
        "wet": wet,
        "amount": amount,
        "weekend_wet": weekend * wet,
        "weekend_amount": weekend * amount,
        "storm": rows["storm"].to_numpy(),
        "surprise": wet * rows["spell"].to_numpy(),
        **{name: (weekday == i).astype(float) for i, name in enumerate(WEEKDAYS)},
        "shift": shift,
        "shift_wet": shift * wet,
        "shift_amount": shift * amount,
    }
    return np.column_stack([values[name] for name in TERMS])


def mixture(
    response: Response, rows: pd.DataFrame, weather: CalibratedWeather
) -> tuple[Floats, Floats, Floats]:
    """Return the distribution of demand over the weather that may come, per feature row.

    (weights, means, k) of shapes (n, nodes), (n, nodes) and (n,): a mixture of negative binomials
    over rain × storm before × dry spell before. Nodes: dry or five amounts, each with and
    without a storm, the wet ones also with and without a spell.
    """
    store = _code(response.store_ids, rows["store_id"])
    item = _code(response.item_ids, rows["item_id"])
    slopes = response.chain + response.stores[store] + response.items[item]
    named = rows.assign(storm=0.0, spell=0.0, temp_anomaly=weather.temp_anomaly)
    zero = np.zeros(len(rows))
    dry = terms(named, response.cutoff, zero, zero, response.since)
    base = (dry * slopes).sum(axis=1)
    base += response.series[store, item] + np.log(response.recent[store, item])
    of = {name: slopes[:, i] for i, name in enumerate(TERMS)}
    weekend = (rows["weekday"].to_numpy() >= 5).astype(float)
    shift = dry[:, TERMS.index("shift")]
    amount = np.log1p(np.minimum(weather.rain_mm, SATURATION_MM))
    rain = (of["wet"] + weekend * of["weekend_wet"] + shift * of["shift_wet"])[:, None]
    more = of["amount"] + weekend * of["weekend_amount"] + shift * of["shift_amount"]
    rain = rain + more[:, None] * amount
    wet, spell, storm = (c[:, None] for c in (weather.wet, weather.spell, weather.storm))
    each = wet / amount.shape[1] * np.ones_like(amount)
    logs = np.column_stack([zero, rain, rain + of["surprise"][:, None]])
    weights = np.column_stack([1.0 - wet, each * (1.0 - spell), each * spell])
    logs = base[:, None] + np.column_stack([logs, logs + of["storm"][:, None]])
    weights = np.column_stack([weights * (1.0 - storm), weights * storm])
    return weights, np.exp(np.clip(logs, -MAX_LOG, MAX_LOG)), response.dispersion[item]


def _code(known: tuple[str, ...], ids: pd.Series) -> Ints:
    """Return 1… for a known id, 0 for one never met."""
    codes: Ints = pd.Index(known).get_indexer(ids) + 1
    return codes


def fit(happened: pd.DataFrame, params: Mapping[str, float] = DEFAULTS) -> Response:
    """Fit the response to what happened (`features.past`), sold-out days un-censored.

    `params`: recent_days the level may have drifted over, factors on how far it may (`drift`)
    and how far stores and items may depart from the chain (`departure`), and the day `since` which
    customers behave otherwise, where there is one.
    Fisher scoring on the penalised quasi-likelihood with variance m + m² ÷ k, between steps k
    by moments and E[demand | demand ≥ sold] for the days sold out.
    """
    stores, store = np.unique(happened["store_id"].to_numpy(str), return_inverse=True)
    items, item = np.unique(happened["item_id"].to_numpy(str), return_inverse=True)
    cutoff = float(happened["date"].max().to_datetime64().astype("datetime64[D]").astype(float))
    wet, rain_mm = (happened[name].to_numpy() for name in ("wet", "rain_mm"))
    x = terms(happened, cutoff, wet, rain_mm, params["since"])
    sold, censored = happened["units"].to_numpy(float), happened["sold_out"].to_numpy(bool)
    spread = np.array(list(SPREAD.values())).T * [[1.0], [params["departure"]]]
    pool = Pool.of(x, store, item, spread)
    # Days sold out come in only once the rest has settled: imputing from a wild start would stay.
    theta, y, k = pool.start(sold), sold, np.full(len(items), 5.0)
    for step in range(STEPS + ROUNDS):
        theta = pool.newton(theta, y, k[item], ~censored if step < STEPS else np.ones(len(y)))
        mean = pool.mean(theta)
        if step >= STEPS - 1:
            first, second = _beyond(sold, mean, k[item])
            y = np.where(censored, first, sold)
            apart = second + first - 2.0 * mean * first + mean**2  # E[(D − m)² | D ≥ sold]
            apart = np.where(censored, apart, (sold - mean) ** 2)
            k = _dispersion(apart, mean, item, len(items))
    chain, own_store, own_item, own_series = pool.split(theta)
    return Response(
        tuple(stores),
        tuple(items),
        chain,
        np.vstack([np.zeros(len(TERMS)), own_store]),
        np.vstack([np.zeros(len(TERMS)), own_item]),
        np.pad(own_series, ((1, 0), (1, 0))),
        np.concatenate([[np.median(k)], k]),
        cutoff,
        np.pad(_recent(pool, y, mean, k[item], params), ((1, 0), (1, 0)), constant_values=1.0),
        params["since"],
    )


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
    """Return per day sold what it says for demand × (1 + shift), given the weather that came.

    Columns `expected` (units), `variance`, and `log_ratio`: log P(sold | shifted) − log P(sold). A
    day sold out says only that demand was at least so much. On average below 0 without a shift.
    """
    mean, k, recent = _given_weather(happened, response)
    mean = mean * recent
    moved = mean * (1.0 + shift)
    sold = happened["units"].to_numpy(float)
    told = sold * np.log1p(shift) + (k + sold) * np.log((k + mean) / (k + moved))
    least = np.log(_reaches(sold, moved, k)) - np.log(_reaches(sold, mean, k))
    said = np.where(happened["sold_out"].to_numpy(bool), least, told)
    return happened.assign(expected=mean, variance=mean + mean**2 / k, log_ratio=said)


def _reaches(sold: Floats, mean: Floats, k: Floats) -> Floats:
    """Return P(D ≥ sold) for a negative binomial D, never 0."""
    from scipy.special import betainc

    tail: Floats = betainc(np.maximum(sold, 1.0), k, mean / (mean + k))
    return np.where(sold < 1, 1.0, np.maximum(tail, 1e-300))


def _given_weather(happened: pd.DataFrame, response: Response) -> tuple[Floats, Floats, Floats]:
    store, item = (
        _code(known, happened[name])
        for known, name in ((response.store_ids, "store_id"), (response.item_ids, "item_id"))
    )
    wet, rain_mm = (happened[name].to_numpy() for name in ("wet", "rain_mm"))
    x = terms(happened, response.cutoff, wet, rain_mm, response.since)
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


def dispersion(y: Floats, mean: Floats, group: Ints, groups: int) -> Floats:
    """Return k of each group by moments, Σ((y − m)² − m) = Σ m² ÷ k, within [0.2, 1e6]."""
    return _dispersion((y - mean) ** 2, mean, group, groups)


def _dispersion(square: Floats, mean: Floats, group: Ints, groups: int) -> Floats:
    excess = np.bincount(group, square - mean, groups)
    whole = np.bincount(group, mean**2, groups)
    return np.clip(whole / np.maximum(excess, 1e-9), 0.2, 1e6)


def _recent(pool: Pool, y: Floats, mean: Floats, k: Floats, params: Mapping[str, float]) -> Floats:
    """Return how far each series lately departs from what is expected, (stores, items).

    A ratio of sums over the last days, shrunk by its own noise (an empirical-Bayes weight,
    Morris 1983), first for the chain, then for what is left of store, item and series.
    """
    day = pool.x[:, TERMS.index("years")] * YEAR_DAYS
    late = day > -params["recent_days"]
    store, item = pool.store[late], pool.item[late]
    y, mean, k = y[late], mean[late], k[late]
    code = store * pool.shape[1] + item
    groups = {"chain": np.zeros_like(store), "store": store, "item": item, "series": code}
    factor = np.ones(pool.shape[0] * pool.shape[1])
    every = np.arange(len(factor))
    of_series = {
        "chain": np.zeros_like(every),
        "store": every // pool.shape[1],
        "item": every % pool.shape[1],
        "series": every,
    }
    for name, group in groups.items():
        count = int(of_series[name].max()) + 1
        expected = mean * factor[code]
        total = np.maximum(np.bincount(group, expected, count), TINY)
        noise = np.bincount(group, expected + expected**2 / k, count) / total**2
        drift = (params["drift"] * DRIFT[name]) ** 2
        weight = np.where(total > TINY, drift / (drift + noise), 0.0)  # no days tell nothing
        ratio = 1.0 + weight * (np.bincount(group, y, count) / total - 1.0)
        factor *= ratio[of_series[name]]
    return factor.reshape(pool.shape)
