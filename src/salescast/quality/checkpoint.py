"""From rows to a verdict: measure, judge, decide."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.contract.schema import TABLES, Tables, conform
from salescast.errors import DataQualityError
from salescast.quality import gauges, suites, trade
from salescast.quality.row_measures import measure_rows, unknown_rows
from salescast.quality.rules import RULES, Rule
from salescast.quality.scope import Scope
from salescast.quality.verdict import Check, Verdict

Frames = dict[str, pd.DataFrame]
_SHOWN = 3  # bad rows named in the evidence


Judge = Callable[[Mapping[str, pd.DataFrame], tuple[Rule, ...]], dict[str, bool]]


def check_delivery(
    delivery: Tables, stored: Tables, until: pd.Timestamp, judge: Judge = suites.judge
) -> Verdict:
    """Judge the delivered rows by the contract and by what is stored.

    `until` is the moment of delivery: nothing may be known at it or later. Rows that are stored
    already, value for value, are left out. A rejected delivery is quarantined whole.
    `judge`: Great Expectations, or `judge_plainly`, which comes to the same.
    """
    conformed, broken = _conform(delivery)
    fresh = {name: unknown_rows(name, rows, stored.get(name)) for name, rows in conformed.items()}
    scope = Scope(fresh, stored, pd.Timestamp(until))
    frames = measure(scope)
    rules = _rules_of(frames)
    checks = [*broken, *_checks(frames, rules, judge(frames, rules))]
    raw = {name: rows for name, rows in delivery.items() if name not in conformed}
    return _verdict(scope, checks, (frames, raw), None)


def check_stored(tables: Tables, until: pd.Timestamp) -> Verdict:
    """Judge everything stored: the same rules, and types and missing values once more.

    `until` as in `check_delivery`. Nothing is taken out of the tables; `quarantined` shows rows.
    """
    conformed, broken = _conform(tables)
    scope = Scope(conformed, {}, pd.Timestamp(until))
    frames = measure(scope)
    rules = _rules_of(frames)
    passed, documents = suites.judge_with_docs(frames, rules)
    checks = [*broken, *_checks(frames, rules, passed), *_structure_checks(rules, passed)]
    return _verdict(scope, checks, (frames, {}), documents)


def write_data_docs(verdict: Verdict, folder: Path) -> Path:
    """Write the Data Docs of `check_stored` into `folder`, in place of earlier ones.

    Returns the index page. Raises DataQualityError for a verdict on a delivery, which keeps none.
    """
    if verdict.documents is None:
        raise DataQualityError("Data Docs are written from check_stored, not from a delivery")
    return suites.write_data_docs(verdict.documents, folder)


def _conform(tables: Tables) -> tuple[Frames, list[Check]]:
    conformed, checks = {}, []
    for name, rows in tables.items():
        try:
            conformed[name] = conform(name, rows, f"delivered {name}")
            checks.append(Check(f"{name}_follows_contract", name, "reject", True, 0, ""))
        except DataQualityError as error:
            evidence = f"{error}; deliver the table in the contract's columns"
            checks.append(
                Check(f"{name}_follows_contract", name, "reject", False, len(rows), evidence)
            )
    return conformed, checks


def measure(scope: Scope) -> Frames:
    """Return every frame that rules speak of: the fresh rows' tables, days, series and gauges."""
    frames = {name: measure_rows(name, scope) for name in TABLES if name in scope.fresh}
    if "sales" in frames:
        frames["sales_by_day"] = trade.sales_by_day(scope, frames["sales"]["price_vs_usual"])
        frames["sales_by_place"] = trade.sales_by_place(scope)
        frames["series"] = trade.series(scope)
    if "weather_observed" in frames:
        frames["gauges"] = gauges.gauges(scope)
        frames["gauge_days"] = gauges.gauge_days(scope)
    if "weather_forecast" in frames:
        frames["issues"] = gauges.issues(scope)
    return frames


def _rules_of(frames: Mapping[str, pd.DataFrame]) -> tuple[Rule, ...]:
    return tuple(rule for rule in RULES if rule.frame in frames)


def _checks(frames: Frames, rules: tuple[Rule, ...], passed: Mapping[str, bool]) -> list[Check]:
    return [_check(rule, frames[rule.frame], passed[rule.name]) for rule in rules]


def _check(rule: Rule, frame: pd.DataFrame, passed: bool) -> Check:  # noqa: FBT001 - a result
    if passed:
        return Check(rule.name, rule.table, rule.severity, True, 0, "")
    bad = frame[outside(rule, frame)]
    return Check(rule.name, rule.table, rule.severity, False, len(bad), _evidence(rule, bad))


def judge_plainly(frames: Mapping[str, pd.DataFrame], rules: tuple[Rule, ...]) -> dict[str, bool]:
    """Return for each rule's name whether its frame meets it, without Great Expectations.

    For a replay, which judges a delivery a day: its 0.3 s each would be most of a year's minutes.
    """
    return {rule.name: not outside(rule, frames[rule.frame]).any() for rule in rules}


def outside(rule: Rule, frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows of `frame` break the rule; unknown values do not."""
    values = frame[rule.column].to_numpy(np.float64, na_value=np.nan)
    low = -np.inf if rule.minimum is None else rule.minimum
    high = np.inf if rule.maximum is None else rule.maximum
    bad: NDArray[np.bool_] = (values < low) | (values > high)
    return bad


def _evidence(rule: Rule, bad: pd.DataFrame) -> str:
    keys = [c for c in _KEYS if c in bad]
    shown = [
        f"{' '.join(_word(row[key]) for key in keys)}: {row[rule.column]:.6g}"
        for _, row in bad.head(_SHOWN).iterrows()
    ]
    more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    return (
        f"{rule.column} ({rule.meaning}) must be {suites.between(rule)}, but is "
        f"{', '.join(shown)}{more}; {rule.fix}"
    )


_KEYS = ("store_id", "item_id", "location_id", "issued_at", "issued_on", "date", "newest")


def _word(value: Any) -> str:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}" if value == value.normalize() else f"{value:%Y-%m-%dT%H:%M}"
    return str(value)


def _structure_checks(rules: tuple[Rule, ...], passed: Mapping[str, bool]) -> list[Check]:
    known = {rule.name for rule in rules}
    checks = []
    for name, good in passed.items():
        if name not in known:
            table = max((t for t in TABLES if name.startswith(f"{t}_")), key=len)
            evidence = "" if good else f"{name} does not hold; restore the file or deliver again"
            checks.append(Check(name, table, "reject", good, 0, evidence))
    return checks


def _verdict(
    scope: Scope, checks: list[Check], frames: tuple[Frames, Frames], documents: Any
) -> Verdict:
    measured, raw = frames
    rejected = [c for c in checks if not c.passed and c.severity == "reject"]
    blanket = "; ".join(f"rejected: {c.name}" for c in rejected)
    failed = {c.name for c in checks if not c.passed}
    accepted, quarantined = {}, {}
    for name, rows in scope.fresh.items():
        reasons = _reasons(measured[name], name, failed, blanket)
        bad = (reasons != "").to_numpy()
        once = (measured[name]["repeats"] == 0).to_numpy()
        accepted[name] = rows[~bad & once]
        if bad.any():
            quarantined[name] = rows[bad].assign(reason=reasons[bad].to_numpy())
    quarantined |= {name: rows.assign(reason=blanket) for name, rows in raw.items()}
    checked = sum(len(rows) for rows in scope.fresh.values())
    return Verdict(tuple(checks), checked, accepted, quarantined, scope.until, documents)


def _reasons(frame: pd.DataFrame, table: str, failed: set[str], blanket: str) -> pd.Series:
    """Return for each row why it is quarantined; empty where it is not."""
    reasons = pd.Series(blanket, index=frame.index, dtype="object")
    for rule in RULES:
        if rule.frame == table and rule.severity == "quarantine" and rule.name in failed:
            bad = outside(rule, frame)
            why = frame.loc[bad, rule.column].map(
                lambda value, rule=rule: f"{rule.name}: {rule.column} is {value:.6g}; "
            )
            reasons[bad] = why + reasons[bad]
    return reasons.str.removesuffix("; ")
