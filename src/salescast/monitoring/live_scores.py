"""Live scores of forecasts, and drift of inputs against the same season of earlier years."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.evaluation.backtest import YEAR_DAYS, scores
from salescast.models.forecaster import quantile_column

HALF_A_YEAR = 180  # days: nearer is the same year's season
TYPICAL = 0.01  # least index taken as a column's usual one
SEASON_DAYS = 30  # an origin of an earlier year within so many days is the same season
BINS = 10


def live_scorecard(
    forecasts: pd.DataFrame, scored: pd.DataFrame, quantiles: Sequence[float]
) -> dict[str, Any]:
    """Return live scores overall and per lead, with the matured share of each.

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


def mirrored_quantiles(scored: pd.DataFrame, quantiles: Sequence[float]) -> list[float]:
    """Return the quantiles that all these forecasts have, each with its mirror image 1 − q.

    The configured ones may have changed since the forecasts were made.
    """
    columns = {quantile_column(q): q for q in quantiles}
    complete = {name for name in columns if name in scored and scored[name].notna().all()}
    mirrors = {name: quantile_column(round(1.0 - q, 6)) for name, q in columns.items()}
    return [q for name, q in columns.items() if {name, mirrors[name]} <= complete]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def input_drift(
    rows: pd.DataFrame, columns: Sequence[str], today: pd.Timestamp, days: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Return each column's drift over the last `days`, and the bound of what is usual.

    `rows`: features by origin; columns without any value are left out.
    """
    measured = [name for name in columns if rows[name].notna().any()]
    rows, start = rows[["origin", *measured]], today - pd.Timedelta(days=days)
    recent, earlier = rows[rows["origin"] > start], rows[rows["origin"] <= start]
    usual = usual_drift(earlier, measured, days)
    return drift(same_season(rows, today), recent, measured), usual


def same_season(rows: pd.DataFrame, origin: pd.Timestamp) -> pd.DataFrame:
    """Return the feature rows whose origin lies in the season of `origin`, in earlier years."""
    apart = (rows["origin"] - origin).dt.days
    return rows[(apart < -HALF_A_YEAR) & (_season_apart(apart) <= SEASON_DAYS)]


def _season_apart(days: pd.Series) -> pd.Series:
    """Return the distance in days of the year, in whichever years."""
    within = days % YEAR_DAYS
    return np.minimum(within, YEAR_DAYS - within)


def drift(
    reference: pd.DataFrame, current: pd.DataFrame, columns: Sequence[str]
) -> dict[str, float]:
    """Return the population stability index of each column; empty without a reference."""
    if reference.empty or current.empty:
        return {}
    return {c: psi(reference[c].to_numpy(float), current[c].to_numpy(float)) for c in columns}


def usual_drift(rows: pd.DataFrame, columns: Sequence[str], days: int) -> dict[str, float]:
    """Return per column the largest index that seasons and chance alone have caused.

    Each earlier stretch of `days` is compared with the same season of all other years, as the
    newest is with earlier ones. A column's bound is its median index, times the most by which any
    column of any stretch exceeded its own: among many columns one is always unusual.
    Empty where no stretch can be compared with another year.
    """
    origin, indexes = rows["origin"], []
    for end in pd.date_range(origin.max(), origin.min(), freq=f"-{days}D"):
        apart = (origin - end).dt.days
        stretch = rows[(apart > -days) & (apart <= 0)]
        others = rows[(np.abs(apart) > HALF_A_YEAR) & (_season_apart(apart) <= SEASON_DAYS)]
        indexes.append(drift(others, stretch, columns))
    seen = pd.DataFrame([index for index in indexes if index])
    if seen.empty:
        return {}
    typical = seen.median().clip(lower=TYPICAL)
    return dict(typical * float((seen / typical).to_numpy().max()))


def issue_uncertainty(issued: pd.DataFrame) -> pd.Series:
    """Return per date the share of uncertainty about rain that the last issue leaves.

    u₁ ÷ (u₁ + u₂), where u is the mean over places of p (1 − p), one and two days ahead: 0.5 where
    the last day brings no news, 0 where it leaves nothing uncertain. Dates without uncertainty two
    days ahead are left out.
    """
    lead = (issued["date"] - issued["issued_at"].dt.normalize()).dt.days
    rows = issued.assign(lead=lead)[lead.isin([1, 2])]
    rows["left"] = rows["precip_probability"] * (1.0 - rows["precip_probability"])
    left = rows.pivot_table("left", "date", "lead").reindex(columns=[1, 2])
    return (left[1] / (left[1] + left[2])).dropna()


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
