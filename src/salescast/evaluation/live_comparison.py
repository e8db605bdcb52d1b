"""A challenger in life: the stores it serves as a canary, and whether it is worth promoting."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from salescast.evaluation import metrics
from salescast.evaluation.backtest import saving

MIN_ORIGINS = 7  # a week of days with outcomes, before anybody judges
SURE = 0.01  # chance of withdrawing an equal challenger on a given day, one-sided


@dataclass(frozen=True)
class Judgement:
    """A challenger against the champion on the same forecasts and outcomes.

    `saved`: money a series-day, with a 98 % interval `low` to `high` by bootstrap over origins;
    `coverage_80`: share of outcomes inside the challenger's p10 … p90. `verdict`: "withdraw" it
    where it is surely dearer or out of `bounds`, "promising" where it is surely cheaper.
    """

    verdict: Literal["undecided", "promising", "withdraw"]
    reason: str
    origins: int
    saved: float | None = None
    low: float | None = None
    high: float | None = None
    coverage_80: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the judgement as plain values."""
        return asdict(self)


def takes(store_id: str, share: float, version: str) -> bool:
    """Tell whether a canary of `version` that serves `share` (0 … 1) of the stores serves this one.

    Sticky: a store stays with the canary as long as the version does, and while the share grows.
    """
    digest = hashlib.sha256(f"{version}|{store_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def chosen(store_ids: Iterable[str], share: float, version: str) -> list[str]:
    """Return the stores that the canary serves, sorted."""
    return sorted({name for name in store_ids if takes(name, share, version)})


def judge(
    scored: pd.DataFrame, challenger: str, champion: str, bounds: tuple[float, float]
) -> Judgement:
    """Return how two versions compare on what came true.

    `scored`: `backtest.outcomes` with the versions in `model`; only forecasts that both made
    count. `bounds`: what the challenger's coverage must keep.
    """
    key = ["store_id", "item_id", "origin", "date"]
    ours, theirs = (scored[scored["model"] == name] for name in (challenger, champion))
    both = ours[key].merge(theirs[key])
    ours, theirs = (frame.merge(both, on=key) for frame in (ours, theirs))
    each = saving(ours, theirs)
    if len(each) < MIN_ORIGINS:
        return Judgement("undecided", f"{len(each)} of {MIN_ORIGINS} origins matured", len(each))
    low, high = metrics.bootstrap(each, [SURE, 1 - SURE], seed=0)
    inside = metrics.coverage(*(ours[name].to_numpy(float) for name in ("actual", "p10", "p90")))
    verdict, reason = _verdict((low, high), inside, bounds)
    return Judgement(verdict, reason, len(each), float(np.mean(each)), low, high, inside)


def _verdict(
    saved: tuple[float, float], inside: float, bounds: tuple[float, float]
) -> tuple[Literal["undecided", "promising", "withdraw"], str]:
    low, high = saved
    if not bounds[0] <= inside <= bounds[1]:
        return "withdraw", f"p10…p90 hold {inside:.1%} of outcomes, not {bounds[0]}…{bounds[1]}"
    if high < 0:
        return "withdraw", f"it is surely dearer: at best {high:.4f} saved a series-day"
    if low > 0:
        return "promising", f"it is surely cheaper: at least {low:.4f} saved a series-day"
    return "undecided", f"{low:.4f} to {high:.4f} saved a series-day"
