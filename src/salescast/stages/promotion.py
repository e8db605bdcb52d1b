"""Who serves: promotions that cannot overtake each other, and the way back.

The ledger's journal decides: whoever writes the next change first has made it. Release folder and
registry then follow the journal's last line; a process that dies in between leaves them behind
until the next promotion, rollback or `settle`.
"""

import getpass
import logging
from typing import Any

import pandas as pd

from salescast.data.files import read_json
from salescast.errors import (
    DataQualityError,
    GateRefused,
    NoChampionError,
    ProbeFailed,
    PromotionConflict,
    StoreUnavailableError,
)
from salescast.ledger.ledger import Ledger
from salescast.registry import Version
from salescast.release import Release, Releases, Trial, write_trial
from salescast.settings import Settings
from salescast.stages.configured import open_registry
from salescast.stages.gating import raise_refusal
from salescast.stages.packing import assemble
from salescast.stages.probe import probe

log = logging.getLogger("salescast")


def promote(
    settings: Settings,
    version: int | None = None,
    approve: str | None = None,
    url: str | None = None,
    approver: str | None = None,
) -> dict[str, Any]:
    """Make the judged challenger the champion, and see that services answer with it.

    `version`: a registered one instead of the last judged here; `approve`: why somebody agrees,
    for the journal; `url`: the service to probe; `approver`: who agrees, default this user.
    A failed probe rolls back by itself.
    Raises GateRefused where the gate said no or nobody approved yet, PromotionConflict where the
    champion is no longer the one it was compared with, ProbeFailed after a rollback.
    """
    decision = decision_of(settings, version)
    raise_refusal(decision)
    number = str(decision["version"])
    with Ledger(settings.ledger_url) as ledger:
        settle(settings, ledger)  # a change that was journaled only: the gate looks at the aliases
        serves = _last(ledger)
        if serves is None or serves["model_version"] != number or not _intact(settings, serves):
            _check_rival(decision, serves)
            agreed = _agreed(settings, number, approve, approver)
            digest = publish(settings, decision)
            reason = approve or "the gate accepted it"
            serves = _record(ledger, "promote", serves, (number, digest), reason, agreed)
        _shadow_before(settings, ledger, serves)  # before it serves: services then look once
        settle(settings, ledger)
        said = _probed(settings, ledger, serves, url)
    return {"version": int(number), "summary": f"version {number} is the champion; {said}"}


def _agreed(
    settings: Settings, number: str, approve: str | None, approver: str | None
) -> str | None:
    """Return who approved, None where nobody did and nobody has to."""
    if approve and approve.strip():
        return approver or getpass.getuser()
    if settings.gate.approval:
        raise GateRefused(
            f"version {number} passed the gate and waits for a person (gate.approval): "
            f'`salescast promote {number} --approve "why"`'
        )
    return None


def rollback(
    settings: Settings, to: int | None = None, url: str | None = None, reason: str = "asked for"
) -> dict[str, Any]:
    """Give an earlier champion its place back: the one before, or version `to`.

    Raises NoChampionError where there is none, DataQualityError where its release is damaged.
    """
    with Ledger(settings.ledger_url) as ledger:
        serves = _restore(settings, ledger, to, reason)
        try:
            said = probe(settings, _release(serves), url)
        finally:
            _settle_registry(settings, ledger)
    number = serves["model_version"]
    return {"version": int(number), "summary": f"version {number} is the champion again; {said}"}


def settle(settings: Settings, ledger: Ledger) -> None:
    """Let release folder and registry follow the journal; doing it again changes nothing."""
    _settle_releases(settings, ledger)
    _settle_registry(settings, ledger)


def _settle_releases(settings: Settings, ledger: Ledger) -> None:
    last = _last(ledger)
    if last is None:
        return
    served = Releases(settings.releases).point(_release(last))
    last = _last(ledger) or last
    if served.sequence > last["sequence"]:
        raise StoreUnavailableError(
            f"{settings.releases} follows change {served.sequence} of the champion, the ledger "
            f"knows {last['sequence']}: it is another ledger's; restore that ledger, or remove the "
            "file champion there"
        )


def _settle_registry(settings: Settings, ledger: Ledger) -> None:
    """Set the aliases; look again afterwards, for whoever came in between may have been quicker."""
    settled, last = None, _last(ledger)
    while last is not None and last["sequence"] != settled:
        replaced = last["replaced_version"]
        try:
            open_registry(settings).promote(
                int(last["model_version"]), int(replaced) if replaced else None
            )
        except StoreUnavailableError as error:
            log.warning("the registry's aliases stay behind until the next promotion: %s", error)
            return
        settled, last = last["sequence"], _last(ledger)


def decision_of(settings: Settings, version: int | None) -> dict[str, Any]:
    """Return the gate's decision on a version, or on the one judged last."""
    path = settings.build / "decision.json"
    if version is not None:
        path = open_registry(settings).artifact(_registered(settings, version), "decision.json")
    decision: dict[str, Any] = read_json(path, "gate")
    return decision


def _registered(settings: Settings, version: int) -> Version:
    made = open_registry(settings).version(version)
    if made is None:
        raise NoChampionError(f"no version {version} is registered; run `salescast train` first")
    return made


def publish(settings: Settings, decision: dict[str, Any]) -> str:
    """Put the release where services find it, and beside its run; return its digest."""
    registry, made = open_registry(settings), _registered(settings, decision["version"])
    files = assemble(settings, registry, made, decision)
    releases = Releases(settings.releases, settings.model.trusted_types)
    digest = releases.publish(str(made.number), files)
    release = Release(0, str(made.number), digest)
    releases.read(release)  # what services could not load is not promoted
    registry.log_artifact(made, settings.releases / release.folder)
    registry.tag(made, "release_sha256", digest)
    return digest


def _last(ledger: Ledger) -> dict[str, Any] | None:
    rows = _rows(ledger.promotions())
    return rows[-1] if rows else None


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in plain]


def _release(row: dict[str, Any]) -> Release:
    return Release(int(row["sequence"]), row["model_version"], row["digest"])


def _intact(settings: Settings, row: dict[str, Any]) -> bool:
    try:
        Releases(settings.releases).files(_release(row))
    except DataQualityError:
        return False
    return True


def _check_rival(decision: dict[str, Any], serves: dict[str, Any] | None) -> None:
    """Raise PromotionConflict where the gate compared with a champion that serves no longer."""
    compared = decision.get("champion")
    if serves is None or "champion" not in decision:
        return
    if str(compared) not in {serves["model_version"], str(decision["version"])}:
        raise PromotionConflict(
            f"version {decision['version']} was compared with "
            f"{f'version {compared}' if compared else 'no champion'}, but version "
            f"{serves['model_version']} serves now; run `salescast stage gate` again"
        )


def _shadow_before(settings: Settings, ledger: Ledger, serves: dict[str, Any]) -> None:
    """Let the champion before forecast in the shadow: life shows whether it was the better one."""
    before = [
        r for r in _rows(ledger.promotions()) if r["model_version"] == serves["replaced_version"]
    ]
    trial = Trial(before[-1]["model_version"], before[-1]["digest"], 0.0) if before else None
    write_trial(settings.releases, trial if settings.gate.trial_days else None)


def _record(
    ledger: Ledger,
    kind: str,
    serves: dict[str, Any] | None,
    made: tuple[str, str],
    reason: str,
    approver: str | None = None,
) -> dict[str, Any]:
    """Journal the change to `made` = (version, digest), and return its line."""
    row: dict[str, Any] = {
        "kind": kind,
        "model_version": made[0],
        "replaced_version": _before(serves, made[0]),
        "digest": made[1],
        "reason": reason,
    }
    if approver:
        row["approver"] = approver
    number = ledger.record_promotion(int(serves["sequence"]) if serves else 0, **row)
    return row | {"sequence": number}


def _before(serves: dict[str, Any] | None, version: str) -> str | None:
    if serves is None:
        return None
    before: str | None = serves["model_version"]
    return serves["replaced_version"] if before == version else before


def _restore(settings: Settings, ledger: Ledger, to: int | None, reason: str) -> dict[str, Any]:
    """Journal the way back and let the release folder follow."""
    rows = _rows(ledger.promotions())
    wanted = str(to) if to is not None else rows[-1]["replaced_version"] if rows else None
    earlier = [row for row in rows if row["model_version"] == wanted]
    if not earlier:
        served = ", ".join(dict.fromkeys(row["model_version"] for row in rows)) or "none"
        raise NoChampionError(
            f"there is no {f'version {wanted}' if wanted else 'previous champion'} to go back to; "
            f"versions that served: {served}"
        )
    Releases(settings.releases, settings.model.trusted_types).read(
        _release(earlier[-1])
    )  # raises where it is damaged
    made = wanted or "", earlier[-1]["digest"]
    line = rows[-1]
    write_trial(settings.releases, None)
    if line["model_version"] != wanted:
        line = _record(ledger, "rollback", line, made, reason)
    _settle_releases(settings, ledger)
    return line


def _probed(settings: Settings, ledger: Ledger, serves: dict[str, Any], url: str | None) -> str:
    try:
        return probe(settings, _release(serves), url)
    except ProbeFailed as error:
        if (_last(ledger) or serves)["sequence"] != serves["sequence"]:
            return "another change came after it"
        if not serves["replaced_version"]:
            raise
        back = _restore(settings, ledger, int(serves["replaced_version"]), f"probe: {error}")
        _settle_registry(settings, ledger)
        raise ProbeFailed(f"{error}; rolled back to version {back['model_version']}") from error
