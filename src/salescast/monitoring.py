"""Forecasts against what came true, and inputs against the same season of earlier years."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.backtest import scores

SEASON_DAYS = 30  # an origin of an earlier year within so many days is the same season
BINS = 10


def live_scorecard(
    forecasts: pd.DataFrame, scored: pd.DataFrame, quantiles: Sequence[float]
) -> dict[str, Any]:
    """Return live scores overall and per lead, with the matured share beside each.

    `forecasts`: all that were served in the window; `scored`: those with an outcome
    (`backtest.outcomes`). The others have not matured.
    """
    return {
        "forecasts": len(forecasts),
        "matured": _share(len(scored), len(forecasts)),
        "overall": scores(scored, quantiles) if len(scored) else {},
        "by_lead": {
            str(lead): scores(part, quantiles)
            | {"matured": _share(len(part), int((forecasts["lead_time"] == lead).sum()))}
            for lead, part in scored.groupby("lead_time")
        },
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def same_season(rows: pd.DataFrame, origin: pd.Timestamp) -> pd.DataFrame:
    """Return the feature rows whose origin lies in the season of `origin`, in earlier years."""
    before = rows[rows["origin"] < origin - pd.Timedelta(days=180)]
    apart = np.abs((before["origin"] - origin).dt.days.to_numpy() % 365.25)
    return before[np.minimum(apart, 365.25 - apart) <= SEASON_DAYS]


def drift(
    reference: pd.DataFrame, current: pd.DataFrame, columns: Sequence[str]
) -> dict[str, float]:
    """Return the population stability index of each column; empty without a reference."""
    if reference.empty or current.empty:
        return {}
    return {c: psi(reference[c].to_numpy(float), current[c].to_numpy(float)) for c in columns}


def usual_drift(reference: pd.DataFrame, columns: Sequence[str]) -> dict[str, float]:
    """Return the largest index between one year's season and the other years': drift of no news.

    Rain and heat differ from year to year; only more than that is worth a look. Empty where fewer
    than two earlier years are known.
    """
    year = (reference["origin"].dt.year + (reference["origin"].dt.month > 6)).to_numpy()
    years = np.unique(year)
    if len(years) < 2:
        return {}
    apart = [drift(reference[year != y], reference[year == y], columns) for y in years]
    return {name: max(of_year[name] for of_year in apart) for name in columns}


def psi(reference: NDArray[np.float64], current: NDArray[np.float64]) -> float:
    """Return Σ (q − p) ln(q ÷ p) over the reference's deciles; NaN is a bin of its own.

    Siddiqi, Credit Risk Scorecards (2006). 0 is no change; above 0.25 is a large one.
    """
    edges = np.unique(np.nanquantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
    p, q = (_shares(values, edges) for values in (reference, current))
    return float(((q - p) * np.log(q / p)).sum())


def _shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    bins = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, "right"))
    counts = np.bincount(bins.astype(int), minlength=len(edges) + 2) + 0.5  # none is empty
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares
