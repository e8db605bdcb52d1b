"""Change the champion: promotions that cannot overtake each other, and the way back.

The ledger's journal decides: the first to write the next change has made it. Release folder and
registry then follow the journal's last line; where a process dies in between, they do so at the
next promotion, rollback or `follow_journal`.
"""

import getpass
import logging
from typing import Any

from salescast.errors import (
    GateRefused,
    NoChampionError,
    ProbeFailed,
    PromotionConflict,
    StoreUnavailableError,
)
from salescast.ledger.ledger import Ledger
from salescast.release import Release, Trial, write_trial
from salescast.settings import Settings
from salescast.stages.configured import open_registry, open_releases
from salescast.stages.gating import decision_of, raise_refusal
from salescast.stages.packing import publish
from salescast.stages.probe import probe

Change = dict[str, Any]
"""A line of the journal."""

log = logging.getLogger("salescast")


def promote(
    settings: Settings,
    version: int | None = None,
    approve: str | None = None,
    url: str | None = None,
    approver: str | None = None,
) -> dict[str, Any]:
    """Make the judged challenger the champion, and check that a service serves it.

    `version`: a registered one instead of the last judged here; `approve`: why somebody agrees,
    for the journal; `url`: the service to probe; `approver`: who agrees, default this user.
    A failed probe rolls back by itself.
    Raises GateRefused where the gate refused it or an approval is missing, PromotionConflict where
    the champion is no longer the one it was compared with, ProbeFailed after a rollback.
    """
    decision = decision_of(settings, version)
    raise_refusal(decision)
    number = str(decision["version"])
    with Ledger(settings.ledger_url) as ledger:
        follow_journal(settings, ledger)  # first: the gate reads the registry's aliases
        serving = _last(ledger)
        if serving is None or serving["model_version"] != number:
            _check_compared(decision, serving)
            agreed_by = _approver(settings, number, approve, approver)
            following = number, publish(settings, decision)
            reason = approve or "the gate accepted it"
            serving = _record(ledger, "promote", serving, following, reason, agreed_by)
        elif not open_releases(settings).intact(_release(serving)):
            following = number, publish(settings, decision)
            reason = "its release was damaged or missing"
            if following[1] != serving["digest"]:  # else the release is as it was
                serving = _record(ledger, "promote", serving, following, reason)
        _shadow_previous(settings, ledger, serving)  # before it serves: services then look once
        follow_journal(settings, ledger)
        seen = _probe_or_restore(settings, ledger, serving, url)
    return {"version": int(number), "summary": f"version {number} is the champion; {seen}"}


def rollback(
    settings: Settings, to: int | None = None, url: str | None = None, reason: str = "asked for"
) -> dict[str, Any]:
    """Make an earlier champion the champion again: the previous one, or version `to`.

    Raises NoChampionError where there is none, DataQualityError where its release is damaged.
    """
    with Ledger(settings.ledger_url) as ledger:
        change = _restore(settings, ledger, to, reason)
        try:
            seen = probe(settings, _release(change), url)
        finally:
            _update_registry(settings, ledger)
    number = change["model_version"]
    return {"version": int(number), "summary": f"version {number} is the champion again; {seen}"}


def follow_journal(settings: Settings, ledger: Ledger) -> None:
    """Make release folder and registry agree with the journal; repeating it changes nothing."""
    _update_releases(settings, ledger)
    _update_registry(settings, ledger)


def _update_releases(settings: Settings, ledger: Ledger) -> None:
    last = _last(ledger)
    if last is None:
        return
    serving = open_releases(settings).point(_release(last))
    last = _last(ledger) or last
    if serving.sequence > last["sequence"]:
        raise StoreUnavailableError(
            f"{settings.releases} is at change {serving.sequence} of the champion, the ledger at "
            f"{last['sequence']}: it belongs to another ledger; restore that ledger, or remove the "
            "file champion there"
        )


def _update_registry(settings: Settings, ledger: Ledger) -> None:
    """Set the aliases, and again where another change was journaled meanwhile."""
    done, last = None, _last(ledger)
    while last is not None and last["sequence"] != done:
        previous = last["replaced_version"]
        try:
            open_registry(settings).promote(
                int(last["model_version"]), int(previous) if previous else None
            )
        except StoreUnavailableError as error:
            log.warning("the registry's aliases stay behind until the next promotion: %s", error)
            return
        done, last = last["sequence"], _last(ledger)


def last_release(ledger: Ledger) -> Release | None:
    """Return the release that the journal's last line names, None where nothing was promoted."""
    last = _last(ledger)
    return _release(last) if last else None


def _last(ledger: Ledger) -> Change | None:
    changes = _changes(ledger)
    return changes[-1] if changes else None


def _changes(ledger: Ledger) -> list[Change]:
    frame = ledger.promotions()
    changes: list[Change] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return changes


def _release(change: Change) -> Release:
    return Release(int(change["sequence"]), change["model_version"], change["digest"])


def _approver(
    settings: Settings, number: str, approve: str | None, approver: str | None
) -> str | None:
    """Return who approved, None without an approval where none is required."""
    if approve and approve.strip():
        return approver or getpass.getuser()
    if settings.gate.approval:
        raise GateRefused(
            f"version {number} passed the gate and waits for a person (gate.approval): "
            f'`salescast promote {number} --approve "why"`'
        )
    return None


def _check_compared(decision: dict[str, Any], serving: Change | None) -> None:
    """Raise PromotionConflict where the gate compared it with another version than serves now."""
    compared = decision.get("champion")
    if serving is None or "champion" not in decision:
        return
    if str(compared) not in {serving["model_version"], str(decision["version"])}:
        raise PromotionConflict(
            f"version {decision['version']} was compared with "
            f"{f'version {compared}' if compared else 'no champion'}, but version "
            f"{serving['model_version']} serves now; run `salescast stage gate` again"
        )


def _shadow_previous(settings: Settings, ledger: Ledger, serving: Change) -> None:
    """Put the previous champion in the shadow: daily outcomes show whether it was better."""
    previous = [c for c in _changes(ledger) if c["model_version"] == serving["replaced_version"]]
    trial = Trial(previous[-1]["model_version"], previous[-1]["digest"], 0.0) if previous else None
    write_trial(settings.releases, trial if settings.gate.trial_days else None)


def _record(
    ledger: Ledger,
    kind: str,
    serving: Change | None,
    following: tuple[str, str],
    reason: str,
    approver: str | None = None,
) -> Change:
    """Journal the change to `following` = (version, digest), and return its line."""
    version, digest = following
    replaced = None
    if serving:
        same = serving["model_version"] == version
        replaced = serving["replaced_version"] if same else serving["model_version"]
    change: Change = {
        "kind": kind,
        "model_version": version,
        "replaced_version": replaced,
        "digest": digest,
        "reason": reason,
        "approver": approver,
    }
    number = ledger.record_promotion(int(serving["sequence"]) if serving else 0, **change)
    return change | {"sequence": number}


def _restore(settings: Settings, ledger: Ledger, to: int | None, reason: str) -> Change:
    """Journal the way back and let the release folder follow."""
    changes = _changes(ledger)
    last = changes[-1] if changes else None
    version = str(to) if to is not None else last and last["replaced_version"]
    earlier = [change for change in changes if change["model_version"] == version]
    if last is None or not earlier:
        served = ", ".join(dict.fromkeys(change["model_version"] for change in changes)) or "none"
        raise NoChampionError(
            f"there is no {f'version {version}' if version else 'previous champion'} to go back "
            f"to; versions that served: {served}"
        )
    open_releases(settings).read(_release(earlier[-1]))  # raises where it is damaged
    write_trial(settings.releases, None)
    if last["model_version"] != version:
        following = earlier[-1]["model_version"], earlier[-1]["digest"]
        last = _record(ledger, "rollback", last, following, reason)
    _update_releases(settings, ledger)
    return last


def _probe_or_restore(settings: Settings, ledger: Ledger, serving: Change, url: str | None) -> str:
    try:
        return probe(settings, _release(serving), url)
    except ProbeFailed as error:
        if (_last(ledger) or serving)["sequence"] != serving["sequence"]:
            return "another change came after it"
        if not serving["replaced_version"]:
            raise
        back = _restore(settings, ledger, int(serving["replaced_version"]), f"probe: {error}")
        _update_registry(settings, ledger)
        raise ProbeFailed(f"{error}; rolled back to version {back['model_version']}") from error
