"""The state of a workspace: data, champion, last runs, open alarms, and what to do next."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from salescast.contract.schema import last_day
from salescast.data import store, versions
from salescast.data.files import read_json
from salescast.errors import DataQualityError, NoChampionError
from salescast.release.releases import POINTER
from salescast.settings import Settings
from salescast.stages.configured import open_releases


def status(settings: Settings) -> dict[str, Any]:
    """Return what the workspace holds, when each flow ran last, and what to do next."""
    build, monitoring = settings.build, _written(settings, "monitoring.json", "monitor")
    runs = {  # flow → the file that it writes last
        "ingest": build / "version.json",
        "train": build / "decision.json",
        "deploy": settings.releases / POINTER,
        "forecast": build / "orders.json",
        "monitor": build / "monitoring.json",
    }
    result: dict[str, Any] = {
        "workspace": str(settings.root),
        "data_version": versions.data_version(settings.data) if settings.data.is_dir() else None,
        "data_until": _data_until(settings),
        "champion": _champion(settings),
        "decision": _written(settings, "decision.json", "gate"),
        "runs": {flow: _moment(path) for flow, path in runs.items()},
        "origin": _written(settings, "orders.json", "order").get("origin"),
        "monitored": monitoring.get("origin"),
        "alarms": monitoring.get("open_alarms", []),
        "training": monitoring.get("training"),
    }
    # simulated: from here
    result["simulated"] = settings.feed.kind == "godatamarkets"
    # simulated: to here
    result["next"] = next_step(result, datetime.now(UTC).date())
    return result | {"summary": "\n".join(_lines(result))}


def _data_until(settings: Settings) -> str | None:
    try:
        return f"{last_day(store.read_days(settings.data)):%Y-%m-%d}"
    except DataQualityError:  # nothing is stored, or what is stored is damaged: ingest names it
        return None


def _champion(settings: Settings) -> str | None:
    try:
        return open_releases(settings).champion().version
    except NoChampionError:
        return None


def _written(settings: Settings, name: str, stage: str) -> dict[str, Any]:
    path = settings.build / name
    result: dict[str, Any] = read_json(path, stage) if path.exists() else {}
    return result


def _moment(path: Path) -> str | None:
    if not path.exists():
        return None
    return f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%d %H:%M} UTC"


def next_step(state: dict[str, Any], today: date) -> str:
    """Return the first step that is missing, as a command where there is one."""
    until, decision, champion = state["data_until"], state["decision"], state["champion"]
    judged = str(decision.get("version"))
    steps = (
        (until is None, "salescast ingest"),
        (not decision, "salescast train"),
        (
            decision.get("verdict") == "promote" and judged != champion,
            f"salescast promote  # version {judged} passed the gate",
        ),
        (
            champion is None,
            f"read why the gate refused version {judged}, then salescast train",
        ),
        (not state.get("simulated") and _is_old(until, today), "salescast ingest"),
        (bool(state["training"]), f"salescast train  # {(state['training'] or {}).get('why')}"),
        (state["origin"] != until, "salescast forecast"),
        (state["monitored"] != until, "salescast monitor"),
        (bool(state["alarms"]), "read the runbook of each alarm above"),
    )
    return next((step for missing, step in steps if missing), "nothing; salescast serve answers")


def _is_old(until: str | None, today: date) -> bool:
    return until is not None and date.fromisoformat(until) < today - timedelta(days=1)


def _lines(state: dict[str, Any]) -> list[str]:
    decision, alarms = state["decision"], state["alarms"]
    until = f", until {state['data_until']}" if state["data_until"] else ""
    verdict = f"version {decision['version']}: {decision['verdict']}" if decision else "none yet"
    return [
        f"workspace  {state['workspace']}",
        f"data       {state['data_version'] or 'none yet'}{until}",
        f"champion   {'version ' + state['champion'] if state['champion'] else 'none yet'}",
        f"gate       {verdict}",
        *(f"{flow:10} {moment or 'never'}" for flow, moment in state["runs"].items()),
        f"alarms     {len(alarms) or 'none open'}",
        *(
            f"           {a['severity']}: {a['name']}, {a['subject']}: {a['runbook']}"
            for a in alarms
        ),
        f"next       {state['next']}",
    ]
