"""What one model saves against another: on the same rows, in blocks, and how sure that is.

Neighbouring origins forecast some of the same days, so what is saved at them hangs together. Where
there is an origin a day they hardly differ, and days are compared instead: see `per`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.evaluation import metrics

Floats = NDArray[np.float64]

DAY = ("store_id", "item_id", "origin", "date")
SEGMENTS = {"store": "store_id", "item": "item_id", "lead_band": "lead_band"}
MIN_ORIGINS = 4  # fewer origins (or days) of a segment, as of a new store, say nothing
ALPHA = 0.05  # chance of an error in each check


def paired(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that both have, by DAY, with `theirs` (their cost) and `saved` (money)."""
    pairs = ours.merge(theirs[[*DAY, "cost"]].rename(columns={"cost": "theirs"}), on=[*DAY])
    return pairs.assign(saved=pairs["theirs"] - pairs["cost"])


def per(unit: str, rows: pd.DataFrame, column: str) -> list[float]:
    """Return the sums of `column` by `unit`, scaled so that their mean is that of the rows."""
    sums = rows.groupby(unit)[column].sum()
    return list(sums * (len(sums) / max(len(rows), 1)))


def surely(values: Sequence[float], block: int, seed: int, alpha: float = ALPHA) -> float:
    """Return what the mean of `values` exceeds with confidence 1 − `alpha`; −∞ for too few.

    A circular bootstrap of blocks, spread by √(n ÷ (n − block)): within n values the mean of a
    resample varies too little by that factor.
    """
    if len(values) <= block:
        return float("-inf")
    (low,) = metrics.bootstrap(values, [alpha], seed, block)
    mean = float(np.mean(values))
    return mean - (mean - low) * float(np.sqrt(len(values) / (len(values) - block)))


def worse_segments(
    pairs: pd.DataFrame, margin: float, block: int, unit: str = "origin"
) -> pd.DataFrame:
    """Return each segment's cost ratio and whether it is surely more than `margin` dearer.

    Columns: kind (store, item, lead_band), segment, ratio, p_value, worse. Surely: by the test of
    Diebold & Mariano (1995) on ours − (1 + margin) · theirs by `unit`, with the small-sample t of
    Harvey, Leybourne & Newbold (1997), and Holm's (1979) correction over all segments.
    """
    bands = _bands(int(pairs["lead_time"].max()) if len(pairs) else 1)
    lead = pairs["lead_time"].to_numpy()
    names = [f"{first}-{last}" for first, last in bands]
    at = np.searchsorted([last for _, last in bands], lead)
    rows = pairs.assign(
        lead_band=np.array(names)[at], beyond=pairs["cost"] - (1 + margin) * pairs["theirs"]
    )
    parts = [_of_kind(rows, kind, column, (unit, block)) for kind, column in SEGMENTS.items()]
    found = pd.concat(parts, ignore_index=True)
    return found.assign(worse=_holm(found["p_value"].to_numpy()))


def _bands(horizon: int) -> list[tuple[int, int]]:
    """Return near, middle and far leads; fewer where the horizon is short."""
    ends = sorted({min(3, horizon), min(7, horizon), horizon})
    return list(zip([1, *(e + 1 for e in ends[:-1])], ends, strict=True))


def _of_kind(rows: pd.DataFrame, kind: str, column: str, apart: tuple[str, int]) -> pd.DataFrame:
    unit, block = apart
    sums = rows.groupby(column, observed=True)[["cost", "theirs"]].sum()
    beyond = rows.pivot_table(index=unit, columns=column, values="beyond", aggfunc="mean")
    p_values = [_p_value(beyond[name].dropna().to_numpy(), block) for name in sums.index]
    ratio = (sums["cost"] / sums["theirs"]).to_numpy()
    named = [str(name) for name in sums.index]
    return pd.DataFrame({"kind": kind, "segment": named, "ratio": ratio, "p_value": p_values})


def _p_value(values: Floats, block: int) -> float:
    """Return the chance of a mean so far above 0 where it is none; 1 for too few values."""
    from scipy.special import stdtr

    n = len(values)
    if n < max(MIN_ORIGINS, 2 * block):
        return 1.0
    apart = values - values.mean()
    lags = [float(apart[k:] @ apart[: n - k]) / n for k in range(block)]
    # Bartlett's weights keep the variance positive (Newey & West 1987).
    variance = lags[0] + 2 * sum((1 - k / block) * lags[k] for k in range(1, block))
    small = (n + 1 - 2 * block + block * (block - 1) / n) / n
    spread = np.sqrt(max(variance, 1e-300) / n / small)
    return float(stdtr(n - 1, -values.mean() / spread))


def _holm(p_values: Floats) -> NDArray[np.bool_]:
    """Tell which hypotheses fall when all are tested together, at ALPHA in all."""
    order = np.argsort(p_values)
    limits = ALPHA / np.arange(len(p_values), 0, -1)
    fallen = np.logical_and.accumulate(p_values[order] <= limits)
    result = np.zeros(len(p_values), dtype=bool)
    result[order] = fallen
    return result
