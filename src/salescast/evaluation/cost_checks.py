"""Checks of cost: against baselines, champion and twins, in all and by segment."""

import pandas as pd

from salescast.evaluation.backtest import BLIND
from salescast.evaluation.controls import FORESIGHTED
from salescast.evaluation.decision import Check, Evidence, Policy, check
from salescast.evaluation.inference import (
    DAY,
    MIN_LENGTH,
    SEGMENTS,
    lower_bound,
    paired,
    unit_means,
    worse_segments,
)


def beats(rows: pd.DataFrame, baseline: pd.DataFrame, name: str, policy: Policy) -> Check:
    """Require a saving against a baseline."""
    low, summary = _saving(paired(rows, baseline), name, policy)
    fix = "the saving may be luck, so the baseline would do"
    return check(f"beats_{name}", (low, f"> 0, {_confidence(policy)}"), summary, low > 0, fix)


def _confidence(policy: Policy) -> str:
    return f"{1 - policy.promotion_error:.0%} confidence"


def _saving(pairs: pd.DataFrame, name: str, policy: Policy) -> tuple[float, str]:
    """Return the lower confidence bound of the saving per series-day, and a sentence."""
    values = unit_means(policy.unit, pairs, "saved")
    low = float(lower_bound(values, policy.promotion_error))
    mean = float(values.mean()) if len(values) else float("nan")
    bound = f"at least {low:.4f} with {_confidence(policy)}"
    if len(values) < MIN_LENGTH:
        bound = f"not enough history to compare: at least {MIN_LENGTH} are needed"
    count = f"over {len(values)} {policy.unit}s"
    return low, f"it saves {mean:.4f} a series-day against {name} {count}, {bound}"


def beats_champion(rows: pd.DataFrame, champion: pd.DataFrame | None, policy: Policy) -> Check:
    """Require a saving against the champion that is larger than a tie."""
    bound = f"> a tie, {_confidence(policy)}"
    if champion is None:
        summary = "no other version is champion"
        return check("beats_champion", ("no champion", bound), summary, True, "")
    pairs = paired(rows, champion)
    low, summary = _saving(pairs, "the champion", policy)
    count = pairs["origin"].nunique()
    tie = policy.min_saving * float(pairs["reference_cost"].mean() or 0)
    summary += f"; both forecast out of sample; a saving up to {tie:.4f} is a tie"
    enough = count >= policy.min_origins
    fix = "the champion stays"
    if not enough:
        fix = f"not enough history: {count} common origins, {policy.min_origins} are needed"
    return check("beats_champion", (low, bound), summary, enough and low > tie, fix)


def segments(rows: pd.DataFrame, champion: pd.DataFrame | None, policy: Policy) -> list[Check]:
    """Require that no store, item or lead band is dearer than with the champion by the margin."""
    bound = f"= 0 more than {policy.segment_margin:.0%} dearer, {_confidence(policy)} in all (Holm)"
    if champion is None:
        none = ("no champion", bound)
        summary = "no other version is champion"
        return [check(f"no_{kind}_worse", none, summary, passed=True, fix="") for kind in SEGMENTS]
    pairs = paired(rows, champion)
    tested = worse_segments(pairs, policy.segment_margin, policy.unit, policy.promotion_error)
    return [_segment(kind, tested[tested["kind"] == kind], bound) for kind in SEGMENTS]


def _segment(kind: str, tested: pd.DataFrame, bound: str) -> Check:
    worse = tested[tested["worse"]].sort_values("p_value")
    summary = f"of {len(tested)} segments none is clearly worse"
    if (tested["p_value"] == 1.0).all():
        summary = f"{len(tested)} segments have not enough history, or none looks worse"
    if len(tested):
        dearest = tested.sort_values("ratio").iloc[-1]
        summary += f"; the dearest is {dearest['segment']}, {dearest['ratio']:.3f} × the champion's"
    if len(worse):
        pairs = zip(worse["segment"], worse["ratio"], strict=True)
        names = ", ".join(f"{name} ({ratio:.2f} ×)" for name, ratio in pairs)
        summary = f"dearer than with the champion: {names}"
    fix = "the champion stays; look at what is different there"
    return check(f"no_{kind}_worse", (float(len(worse)), bound), summary, worse.empty, fix)


def weather(rows: pd.DataFrame, evidence: Evidence, policy: Policy) -> Check:
    """Require a saving against the blind twin where weather forecasts are issued."""
    name, bound = "weather_earns_its_place", f"> 0 saved, {_confidence(policy)}"
    if evidence.weather == "none":
        return check(name, ("blind", bound), "the model uses no weather", True, "")
    if evidence.weather == "climatology":
        summary = "no forecasts are issued and weather is climatology: it cannot be tested"
        return check(name, ("climatology", bound), summary, True, "")
    low, summary = _saving(paired(rows, evidence.model(BLIND)), "its blind twin", policy)
    fix = 'weather does not earn its place: set features.weather = "none" and train again'
    return check(name, (low, bound), summary, low > 0, fix)


def foresight(rows: pd.DataFrame, evidence: Evidence, policy: Policy) -> Check:
    """Refuse a saving far ahead that is nearly that of a twin with perfect weather foresight."""
    name, bound = "plausible", f"not clearly > {policy.max_foresight}"
    if evidence.weather != "issued":
        return check(name, (evidence.weather, bound), "it uses no issued weather", True, "")
    far = rows[rows["lead_time"] > rows["lead_time"].max() / 2]
    saved, possible = (
        paired(candidate, evidence.model(BLIND)).set_index([*DAY])["saved"]
        for candidate in (far, evidence.model(FORESIGHTED))
    )
    both = pd.concat({"saved": saved, "possible": possible}, axis=1, join="inner").reset_index()
    both["excess"] = both["saved"] - policy.max_foresight * both["possible"]
    share = float(both["saved"].sum() / both["possible"].sum()) if len(both) else float("nan")
    excess = unit_means(policy.unit, both, "excess")
    summary = f"far ahead it saves {share:.2f} of what knowing the weather would save"
    passed = len(excess) > 0 and bool(lower_bound(excess, policy.promotion_error) <= 0)
    fix = "better than plausible: look for observed weather among the features"
    return check(name, (share, bound), summary, passed, fix)
