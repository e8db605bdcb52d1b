"""Inference about the mean of autocorrelated, skewed cost differences between two models.

Two models forecast the same series, origins and days. Neighbouring origins share days and weather,
so their differences are autocorrelated; a model that often saves a little may rarely lose much.

One look (`lower_bound`, `p_value`): the t statistic with the equal-weighted cosine estimate of the
long-run variance and K = ⌊0.4 n^⅔⌋ degrees of freedom (Müller 2007; Lazarus, Lewis, Stock & Watson
2018), after Hall's (1992) transformation for skewness. Half of the error is held in reserve: in
short, strongly correlated and skewed samples the test is wrong up to twice as often as it states.
Daily looks (`confidence_sequence`): intervals that hold at all times together, from the Bayes
factor of the t test (Gönen et al. 2005; as a martingale: Lai 1976, Wang & Ramdas 2025).
`make bench-verdicts` simulates the error rates of all of them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DAY = ("store_id", "item_id", "origin", "date")
SEGMENTS = {"store": "store_id", "item": "item_id", "lead_band": "lead_band"}
MIN_LENGTH = 13  # shortest sample on which the test of one mean holds its error
SEGMENT_LENGTH = 26  # as MIN_LENGTH, for hundreds of segments together
RESERVE = 2.0  # the test's nominal error is the stated one ÷ this
SEGMENT_RESERVE = 8.0  # as RESERVE, for `p_value`
MAX_SKEWNESS = 4.0  # of a sample; more is an estimate from a single value
BLOCK_DAYS = 4  # of a confidence sequence: long enough for the correlation between days
EFFECT = 2.0  # prior standard deviation of a block's mean ÷ its noise
SEQUENCE_RESERVE = 4.0  # as RESERVE, for a confidence sequence
STAKES = (0.2, 0.4, 0.8)  # shares of the capital at risk, see `evidence_below`
TINY = 1e-12


def paired(rows: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that both have by DAY, with `reference_cost` and `saved`, in money."""
    cost = reference[[*DAY, "cost"]].rename(columns={"cost": "reference_cost"})
    pairs = rows.merge(cost, on=[*DAY])
    return pairs.assign(saved=pairs["reference_cost"] - pairs["cost"])


def unit_means(unit: str, rows: pd.DataFrame, column: str) -> Floats:
    """Return `column` by `unit`, in order, so that mean and spread are those of the rows' mean.

    A unit with fewer rows departs less from the mean of all rows (the ratio estimator, Cochran
    1977, ch. 6): the first and the last dates of daily origins are forecast by few.
    """
    mean = float(rows[column].mean())
    sums = (rows[column] - mean).groupby(rows[unit]).sum().to_numpy(float)
    result: Floats = mean + sums * (len(sums) / max(len(rows), 1))
    return result


def lower_bound(values: Floats | Sequence[float], error: float) -> Floats:
    """Return the lower confidence bound of the mean of `values` (…, n), with chance `error`.

    −∞ below MIN_LENGTH. The test it inverts is that of `p_value`.
    """
    from scipy.special import stdtrit

    values = np.asarray(values, dtype=float)
    if values.shape[-1] < MIN_LENGTH:
        return np.full(values.shape[:-1], -np.inf)
    mean, noise, slope, terms = _moments(values)
    critical = stdtrit(terms, 1.0 - error / RESERVE) - slope / 2.0
    result: Floats = mean - noise * _unskewed(critical, slope)
    return result


def interval(values: Floats | Sequence[float], error: float) -> tuple[float, float]:
    """Return the confidence interval of the mean of `values` (n,), with chance `error` a side."""
    values = np.asarray(values, dtype=float)
    return float(lower_bound(values, error)), float(-lower_bound(-values, error))


def p_value(values: Floats | Sequence[float]) -> Floats:
    """Return the p-value of a mean of `values` (…, n) above 0 against one of 0 or less.

    1 below MIN_LENGTH. For many tests together: twice the degrees of freedom, for power far out in
    the tail, at the price of a larger reserve; and Hall's transformation may only lower the
    statistic, since far out in the tail an estimated skewness would raise it too often.
    """
    from scipy.special import stdtr

    values = np.asarray(values, dtype=float)
    if values.shape[-1] < MIN_LENGTH:
        return np.ones(values.shape[:-1])
    mean, noise, slope, terms = _moments(values, 2)
    statistic = mean / noise
    shape = slope * statistic
    corrected = statistic * (1.0 + shape + shape**2 / 3.0) + slope / 2.0
    corrected = np.where(slope < 0, np.minimum(corrected, statistic), statistic)
    result: Floats = np.minimum(SEGMENT_RESERVE * stdtr(terms, -corrected), 1.0)
    return result


def _moments(values: Floats, waves_factor: int = 1) -> tuple[Floats, Floats, Floats, int]:
    """Return mean, its standard error, Hall's skewness ÷ (3 √n), and the degrees of freedom."""
    n = values.shape[-1]
    terms = max(int(0.4 * n ** (2 / 3)), 1) * waves_factor
    waves = np.sqrt(2.0 / n) * np.cos(
        np.pi * np.outer((np.arange(n) + 0.5) / n, np.arange(1, terms + 1))
    )
    noise = np.sqrt(((values @ waves) ** 2).mean(axis=-1) / n)
    mean = values.mean(axis=-1)
    apart = values - mean[..., None]
    spread = np.maximum((apart**2).mean(axis=-1), TINY**2)
    skewness = np.clip((apart**3).mean(axis=-1) / spread**1.5, -MAX_SKEWNESS, MAX_SKEWNESS)
    return mean, np.maximum(noise, TINY), skewness / (3.0 * np.sqrt(n)), terms


def _unskewed(critical: Floats, slope: Floats) -> Floats:
    """Return the t whose transformation t + slope·t² + slope²·t³ ÷ 3 is `critical`."""
    slope = np.where(np.abs(slope) < TINY, TINY, slope)
    result: Floats = (np.cbrt(1.0 + 3.0 * slope * critical) - 1.0) / slope
    return result


def confidence_sequence(values: Floats | Sequence[float], error: float) -> tuple[Floats, Floats]:
    """Return lower and upper bounds (…, n) of the mean of `values`, one pair per look.

    Each side is wrong at any look with chance `error`. Values: means of blocks of BLOCK_DAYS days.
    A bound once reached is kept.
    """
    values = np.asarray(values, dtype=float)
    n = np.arange(1, values.shape[-1] + 1)
    mean = values.cumsum(axis=-1) / n
    square = (values**2).cumsum(axis=-1) - n * mean**2
    prior = 1.0 + n * EFFECT**2
    rate = (np.sqrt(prior) * SEQUENCE_RESERVE / (2.0 * error)) ** (2.0 / n)
    ratio = np.where(rate < prior, (rate - 1.0) / np.maximum(1.0 - rate / prior, TINY), np.inf)
    radius = np.where(n > 1, np.sqrt(ratio * np.maximum(square, TINY**2) / n), np.inf)
    low, high = mean - radius, mean + radius
    return np.maximum.accumulate(low, axis=-1), np.minimum.accumulate(high, axis=-1)


def evidence_below(values: Floats | Sequence[float], bound: float) -> float:
    """Return the largest evidence at any time that values in [0, 1] lie below `bound` on average.

    The capital of a fair bet: it reaches 1 ÷ error with chance `error` where the mean is not below,
    whatever the distribution (Waudby-Smith & Ramdas 2024). Averaged over STAKES.
    """
    gains = (bound - np.asarray(values, dtype=float)) / (1.0 - bound)
    capital = np.cumprod(1.0 + np.outer(STAKES, gains), axis=1).mean(axis=0)
    return float(capital.max(initial=1.0))


def block_means(rows: pd.DataFrame, column: str) -> Floats:
    """Return the mean of `column` by blocks of BLOCK_DAYS dates; an unfinished block is left out.

    By date each outcome counts once, however many origins forecast it.
    """
    if rows.empty:
        return np.zeros(0)
    day = (rows["date"] - rows["date"].min()).dt.days
    means = rows.groupby(day // BLOCK_DAYS)[column].mean().to_numpy(float)
    result: Floats = means[: (int(day.max()) + 1) // BLOCK_DAYS]
    return result


def worse_segments(pairs: pd.DataFrame, margin: float, unit: str, error: float) -> pd.DataFrame:
    """Return the cost ratio of each segment and whether it is more than `margin` dearer.

    Columns: kind (store, item, lead_band), segment, ratio, p_value, worse. The chance that any
    segment is called worse by mistake is `error` (Holm 1979).
    """
    rows = pairs.assign(
        lead_band=_lead_bands(pairs["lead_time"]),
        excess=pairs["cost"] - (1.0 + margin) * pairs["reference_cost"],
    )
    parts = [_segment_tests(rows, kind, column, unit) for kind, column in SEGMENTS.items()]
    tested = pd.concat(parts, ignore_index=True)
    return tested.assign(worse=rejected(tested["p_value"].to_numpy(float), error))


def _lead_bands(lead: pd.Series) -> Floats:
    """Return the name of each row's lead band: near, middle or far; fewer in a short horizon."""
    horizon = int(lead.max()) if len(lead) else 1
    ends = sorted({min(3, horizon), min(7, horizon), horizon})
    names = [f"{a}-{b}" for a, b in zip([1, *(e + 1 for e in ends[:-1])], ends, strict=True)]
    result: Floats = np.array(names)[np.searchsorted(ends, lead.to_numpy())]
    return result


def _segment_tests(rows: pd.DataFrame, kind: str, column: str, unit: str) -> pd.DataFrame:
    sums = rows.groupby(column, observed=True)[["cost", "reference_cost"]].sum()
    excess = rows.pivot_table(index=unit, columns=column, values="excess", aggfunc="mean")
    values = [excess[name].dropna().to_numpy(float) for name in sums.index]
    p_values = [float(p_value(v)) if len(v) >= SEGMENT_LENGTH else 1.0 for v in values]
    ratio = (sums["cost"] / sums["reference_cost"]).to_numpy()
    names = [str(name) for name in sums.index]
    return pd.DataFrame({"kind": kind, "segment": names, "ratio": ratio, "p_value": p_values})


def rejected(p_values: Floats, error: float) -> NDArray[np.bool_]:
    """Return which hypotheses (…, m) Holm's method rejects, with chance `error` of any mistake."""
    order = np.argsort(p_values, axis=-1)
    limits = error / np.arange(p_values.shape[-1], 0, -1)
    below = np.take_along_axis(p_values, order, axis=-1) <= limits
    result = np.zeros(p_values.shape, dtype=bool)
    np.put_along_axis(result, order, np.logical_and.accumulate(below, axis=-1), axis=-1)
    return result
