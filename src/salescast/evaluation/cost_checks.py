"""Checks in money: against baselines and champion, everywhere, and against the twins.

Blind, foresighted and shuffled twins say what weather, knowing it, and learning are worth.
"""

import numpy as np
import pandas as pd

from salescast.evaluation.backtest import BLIND
from salescast.evaluation.controls import FORESIGHTED, SHUFFLED
from salescast.evaluation.decision import Check, Evidence, Policy, check
from salescast.evaluation.inference import ALPHA, DAY, SEGMENTS, paired, per, surely, worse_segments


def beats(rows: pd.DataFrame, theirs: pd.DataFrame, name: str, policy: Policy) -> Check:
    """Ask for money saved against a baseline."""
    low, said = _saved(paired(rows, theirs), name, policy)
    fix = "it is not surely cheaper, so the baseline would do"
    return check(f"beats_{name}", (low, "> 0, 95 % sure"), said, low > 0, fix)


def _saved(
    pairs: pd.DataFrame, name: str, policy: Policy, alpha: float = ALPHA
) -> tuple[float, str]:
    """Return the lower bound of what is saved a series-day, and a sentence."""
    values = per(policy.unit, pairs, "saved")
    low = surely(values, policy.block, policy.seed, alpha)
    said = (
        f"it saves {np.mean(values) if values else float('nan'):.4f} a series-day against {name}, "
        f"{1 - alpha:.0%} sure of {low:.4f}, over {len(values)} {policy.unit}s"
    )
    return low, said


def champion(rows: pd.DataFrame, champion: pd.DataFrame | None, policy: Policy) -> Check:
    """Ask for money saved against the champion; on a tie it stays."""
    bound = f"> a tie, {1 - policy.promotion_error:.0%} sure"
    if champion is None:
        said = "no other version is champion"
        return check("beats_champion", ("no champion", bound), said, True, "")
    pairs = paired(rows, champion)
    low, said = _saved(pairs, "the champion", policy, policy.promotion_error)
    count, tie = pairs["origin"].nunique(), policy.min_saving * float(pairs["theirs"].mean() or 0)
    said += f", each forecast by a fit that ended at its origin or before; up to {tie:.4f} is a tie"
    enough = count >= policy.min_origins
    fix = "the champion stays" if enough else f"only {count} origins are common: compare later"
    return check("beats_champion", (low, bound), said, enough and low > tie, fix)


def segments(rows: pd.DataFrame, rival: pd.DataFrame | None, policy: Policy) -> list[Check]:
    """Ask that no store, item or lead band is surely dearer than with the champion."""
    bound = f"= 0 more than {policy.segment_margin:.0%} dearer, 95 % sure over all segments (Holm)"
    if rival is None:
        said = "no other version is champion"
        none = ("no champion", bound)
        return [check(f"no_{kind}_worse", none, said, passed=True, fix="") for kind in SEGMENTS]
    found = worse_segments(paired(rows, rival), policy.segment_margin, policy.block, policy.unit)
    return [_segment(kind, found[found["kind"] == kind], bound) for kind in SEGMENTS]


def _segment(kind: str, part: pd.DataFrame, bound: str) -> Check:
    worse = part[part["worse"]].sort_values("p_value")
    said = f"of {len(part)} none is surely worse"
    if len(part):
        dearest = part.sort_values("ratio").iloc[-1]
        said += f", the dearest is {dearest['segment']} at {dearest['ratio']:.3f} × the champion's"
    if len(worse):
        each = zip(worse["segment"], worse["ratio"], strict=True)
        said = f"dearer than with the champion: {', '.join(f'{s} ({r:.2f} ×)' for s, r in each)}"
    fix = "the champion stays: look at what is different there"
    return check(f"no_{kind}_worse", (float(len(worse)), bound), said, worse.empty, fix)


def weather(rows: pd.DataFrame, evidence: Evidence, policy: Policy) -> Check:
    """Ask for money saved against the blind twin, wherever weather is issued."""
    name, bound = "weather_earns_its_place", "> 0 saved, 95 % sure"
    if evidence.weather == "none":
        return check(name, ("blind", bound), "it is the blind model: told no weather", True, "")
    if evidence.weather == "climatology":
        said = "there are no issued forecasts, weather is climatology: it cannot be told"
        return check(name, ("climatology", bound), said, True, "")
    low, said = _saved(paired(rows, evidence.of(BLIND)), "its blind twin", policy)
    fix = 'weather does not earn its place: set features.weather = "none" and train again'
    return check(name, (low, bound), said, low > 0, fix)


def foresight(rows: pd.DataFrame, evidence: Evidence, policy: Policy) -> Check:
    """Sound an alarm where a forecast far ahead is worth nearly what knowing the weather is."""
    name, bound = "plausible", f"not surely > {policy.max_foresight}"
    if evidence.weather != "issued":
        return check(name, (evidence.weather, bound), "it is told no issued weather", True, "")
    far = rows[rows["lead_time"] > rows["lead_time"].max() / 2]
    ours, best = (
        paired(each, evidence.of(BLIND)).set_index([*DAY])
        for each in (far, evidence.of(FORESIGHTED))
    )
    both = ours.join(best["saved"].rename("best"), how="inner")
    both["beyond"] = both["saved"] - policy.max_foresight * both["best"]
    share = float(both["saved"].sum() / both["best"].sum()) if len(both) else float("nan")
    beyond = per(policy.unit, both, "beyond")
    said = f"far ahead it saves {share:.2f} of what knowing the weather that came would save"
    passed = len(beyond) > 0 and surely(beyond, policy.block, policy.seed) <= 0
    fix = "better than plausible: look for observed weather among what it is told"
    return check(name, (share, bound), said, passed, fix)


def shuffled(rows: pd.DataFrame, evidence: Evidence, policy: Policy) -> Check:
    """Ask that the recipe gets dearer where outcomes are shuffled: it learns from them."""
    low, said = _saved(
        paired(rows, evidence.of(SHUFFLED)), "a twin that learned from shuffled outcomes", policy
    )
    fix = "it learned nothing from what happened"
    return check("shuffled_target", (low, "> 0 saved, 95 % sure"), said, low > 0, fix)
