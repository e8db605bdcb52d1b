"""From rows to a verdict: measure, let Great Expectations judge, say what becomes of the rows."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from salescast.contract.conform import conform
from salescast.contract.schema import TABLES, Tables
from salescast.errors import DataQualityError
from salescast.quality.arrivals import arrivals
from salescast.quality.row_measures import measure_rows, unknown_rows
from salescast.quality.scope import Scope
from salescast.quality.suites import ARRIVALS, MEANINGS, SUITES, Rule, between, outside
from salescast.quality.verdict import Check, Verdict

Frames = dict[str, pd.DataFrame]
_SHOWN = 3  # bad rows named in the evidence


def check_delivery(
    delivery: Tables,
    stored: Tables,
    until: pd.Timestamp,
    folder: Path | None = None,
    rules: tuple[Rule, ...] = SUITES,
) -> Verdict:
    """Judge the delivered rows by the contract and by what is stored.

    `until` is the moment of delivery: nothing may be known at it or later. Rows that are stored
    already, value for value, are left out. A rejected delivery is quarantined whole. `folder`
    takes `delivery.json` and the quarantined rows; None: nothing is written.
    """
    conformed, contract_checks = _conform(delivery)
    fresh = {name: unknown_rows(name, rows, stored.get(name)) for name, rows in conformed.items()}
    raw = {name: rows for name, rows in delivery.items() if name not in conformed}
    subject = _Subject(Scope(fresh, stored, pd.Timestamp(until)), rules, contract_checks, raw)
    return _judge(subject, folder, quarantine="quarantine", report="delivery.json")


def check_stored(
    tables: Tables,
    until: pd.Timestamp,
    folder: Path | None = None,
    rules: tuple[Rule, ...] = SUITES,
) -> Verdict:
    """Judge everything stored by the same checks; `quarantined` shows rows, but all of them stay.

    `until` as in `check_delivery`. `folder` takes `quality.json` and the Data Docs in `data_docs`.
    """
    conformed, contract_checks = _conform(tables)
    subject = _Subject(Scope(conformed, {}, pd.Timestamp(until)), rules, contract_checks, {})
    if folder:
        shutil.rmtree(folder / "data_docs", ignore_errors=True)
    return _judge(subject, folder, docs="data_docs", report="quality.json")


def measure(scope: Scope) -> Frames:
    """Return every frame that is judged: the fresh rows of each table, and `arrivals`."""
    rows = {name: measure_rows(name, scope) for name in TABLES if name in scope.fresh}
    return rows | {ARRIVALS: arrivals(scope)}


@dataclass(frozen=True)
class _Subject:
    """What is judged. `raw`: tables that break the contract, as they were delivered."""

    scope: Scope
    rules: tuple[Rule, ...]
    contract_checks: list[Check]
    raw: Frames

    @cached_property
    def frames(self) -> Frames:
        return measure(self.scope)

    def verdict(self, passed: Mapping[str, bool]) -> Verdict:
        """Return what becomes of the rows. `passed`: by the name of each check that was run."""
        rules = [rule for rule in self.rules if rule.table in self.scope.fresh]
        failed = [rule for rule in rules if not passed.get(rule.name, True)]
        checks = [_check(rule, self.frames[rule.frame], rule not in failed) for rule in rules]
        checks = [*self.contract_checks, *checks]
        critical = [c.name for c in checks if not c.passed and c.severity == "critical"]
        blanket = "; ".join(f"rejected: {name}" for name in critical)
        accepted, quarantined = {}, {}
        for name, rows in self.scope.fresh.items():
            reasons = _reasons(self.frames[name], [r for r in failed if r.frame == name], blanket)
            bad = (reasons != "").to_numpy()
            accepted[name] = rows[~bad & (self.frames[name]["repeats"] == 0).to_numpy()]
            if bad.any():
                quarantined[name] = rows[bad].assign(reason=reasons[bad].to_numpy())
        quarantined |= {name: rows.assign(reason=blanket) for name, rows in self.raw.items()}
        checked = sum(len(rows) for rows in self.scope.fresh.values())
        return Verdict(tuple(checks), checked, accepted, quarantined, self.scope.until)


def _judge(subject: _Subject, folder: Path | None, **names: str) -> Verdict:
    from salescast.quality import expectations as gx  # takes seconds to import

    frames = {name: rows for name, rows in subject.frames.items() if len(rows) or name == ARRIVALS}
    outputs = gx.Outputs()
    if folder:
        outputs = gx.Outputs(**{name: str(folder.resolve() / path) for name, path in names.items()})
    checkpoint = gx.open_checkpoint(subject.rules, tuple(frames), outputs)
    return gx.run_checkpoint(checkpoint, frames, subject.verdict)


def _conform(tables: Tables) -> tuple[Frames, list[Check]]:
    conformed, checks = {}, []
    for name, rows in tables.items():
        problem = ""
        try:
            conformed[name] = conform(name, rows, f"delivered {name}")
        except DataQualityError as error:
            problem = f"{error}; deliver the table in the contract's columns"
        bad = len(rows) if problem else 0
        check = Check(f"{name}_follows_contract", name, "critical", not problem, bad, problem)
        checks.append(check)
    return conformed, checks


def _check(rule: Rule, frame: pd.DataFrame, passed: bool) -> Check:  # noqa: FBT001 - a result
    if passed:
        return Check(rule.name, rule.table, rule.severity, True, 0, "")
    bad = frame[outside(frame, rule.ranges)]
    return Check(rule.name, rule.table, rule.severity, False, len(bad), _evidence(rule, bad))


def _evidence(rule: Rule, bad: pd.DataFrame) -> str:
    parts = []
    for measure, span in rule.ranges.items():
        failing = bad[outside(bad, {measure: span})].drop_duplicates([*rule.by, measure])
        if len(failing):
            parts.append(_sentence(rule, measure, failing))
    return f"{'; '.join(parts)}; {rule.fix}"


def _sentence(rule: Rule, measure: str, failing: pd.DataFrame) -> str:
    shown = [
        f"{' '.join(_word(row[key]) for key in rule.by)}: {row[measure]:.6g}"
        for _, row in failing.head(_SHOWN).iterrows()
    ]
    more = f" and {len(failing) - _SHOWN} more" if len(failing) > _SHOWN else ""
    return (
        f"{measure} ({MEANINGS[measure]}) must be {between(*rule.ranges[measure])}, but is "
        f"{', '.join(shown)}{more} (quality.checks.{rule.name}.{measure})"
    )


def _word(value: Any) -> str:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}" if value == value.normalize() else f"{value:%Y-%m-%dT%H:%M}"
    return str(value)


def _reasons(frame: pd.DataFrame, failed: list[Rule], blanket: str) -> pd.Series:
    """Return for each row why it is quarantined; empty where it is not."""
    reasons = pd.Series("", index=frame.index, dtype="object")
    for rule in failed:
        if rule.severity == "warning":
            bad = frame[outside(frame, rule.ranges)]
            reasons[bad.index] += rule.reasons(bad) + "; "
    return (reasons + blanket).str.removesuffix("; ")
