"""A challenger in production: the stores it serves as a canary, and whether it stays."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from salescast.evaluation.inference import (
    BLOCK_DAYS,
    block_means,
    confidence_sequence,
    evidence_below,
    paired,
)

ERROR = 0.01  # chance that an equal challenger is ever withdrawn for its cost, at any look
MIN_ORIGINS = 7  # errors of one origin's days depend on each other
MIN_BLOCKS = 2  # a spread needs two blocks of days

Verdict = Literal["undecided", "promising", "withdraw"]


@dataclass(frozen=True)
class Judgement:
    """A challenger against the champion on the same forecasts and outcomes.

    `saved`: money per series-day, with confidence sequence `low` to `high`; `coverage_80`: share of
    outcomes inside the challenger's p10 … p90. `verdict`: "withdraw" a challenger that is dearer or
    whose intervals are too narrow or too wide, "promising" for a cheaper one.
    """

    verdict: Verdict
    reason: str
    origins: int
    saved: float | None = None
    low: float | None = None
    high: float | None = None
    coverage_80: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the judgement as plain values."""
        return asdict(self)


def in_canary(store_id: str, share: float, version: str) -> bool:
    """Return whether a canary of `version` with `share` (0 … 1) of the stores serves this one.

    A store stays in the canary while the version does, also when the share grows.
    """
    digest = hashlib.sha256(f"{version}|{store_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def canary_stores(store_ids: Iterable[str], share: float, version: str) -> list[str]:
    """Return the stores that the canary serves, sorted."""
    return sorted({name for name in store_ids if in_canary(name, share, version)})


def judge(
    scored: pd.DataFrame, challenger: str, champion: str, bounds: tuple[float, float]
) -> Judgement:
    """Return how two versions compare on forecasts that both made and whose outcome is known.

    `scored`: `backtest.outcomes` with the versions in `model`; `bounds`: least coverage with and
    largest without the bounds of p10 … p90. Costs are compared by outcome date, so that each
    outcome counts once, in blocks of BLOCK_DAYS days.
    """
    rows = paired(scored[scored["model"] == challenger], scored[scored["model"] == champion])
    inside = (rows["actual"] >= rows["p10"]) & (rows["actual"] <= rows["p90"])
    between = (rows["actual"] > rows["p10"]) & (rows["actual"] < rows["p90"])
    rows = rows.assign(held=inside.astype(float), between=between.astype(float))
    saved, origins = block_means(rows, "saved"), rows["origin"].nunique()
    if origins < MIN_ORIGINS:
        return Judgement("undecided", f"{origins} of {MIN_ORIGINS} origins have outcomes", origins)
    if failure := _coverage_failure(rows, bounds):
        return Judgement("withdraw", failure, origins, coverage_80=float(rows["held"].mean()))
    if len(saved) < MIN_BLOCKS:
        days = MIN_BLOCKS * BLOCK_DAYS
        return Judgement("undecided", f"fewer than {days} days have outcomes", origins)
    low, high = (float(side[-1]) for side in confidence_sequence(saved, ERROR))
    verdict, reason = _saving(low, high)
    held = float(rows["held"].mean())
    return Judgement(verdict, reason, origins, float(rows["saved"].mean()), low, high, held)


def _coverage_failure(rows: pd.DataFrame, bounds: tuple[float, float]) -> str:
    """Return why the intervals are too narrow or too wide, empty where that is not clear."""
    by_date = rows.groupby("date")[["held", "between"]].mean()
    narrow = evidence_below(by_date["held"].to_numpy(float), bounds[0])
    wide = evidence_below(1.0 - by_date["between"].to_numpy(float), 1.0 - bounds[1])
    if max(narrow, wide) < 2.0 / ERROR:
        return ""
    fault = "narrow" if narrow > wide else "wide"
    return f"p10…p90 hold {rows['held'].mean():.1%} of outcomes: too {fault}"


def _saving(low: float, high: float) -> tuple[Verdict, str]:
    if high < 0:
        return "withdraw", f"it is dearer: at best {high:.4f} saved a series-day"
    if low > 0:
        return "promising", f"it is cheaper: at least {low:.4f} saved a series-day"
    return "undecided", f"between {low:.4f} and {high:.4f} saved a series-day"
