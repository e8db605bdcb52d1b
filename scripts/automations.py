"""What Prefect does by itself: train when asked, watch the delivery, repeat what died.

Each function takes the ids of the deployments by "flow/name" and returns what the server stores.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

TRAINING_WANTED = "salescast.training-wanted"
"""The event that `flows.on_prefect` emits when the monitor says why to train."""
DAY = 24 * 3600  # seconds
LATE = 2 * 3600  # seconds after the hour at which a daily run should be done
SILENCE = 3 * 180  # seconds; a run that lives is heard of every 180
ENDS = ("Completed", "Failed", "Cancelled", "Crashed", "Paused", "Suspended", "Refused")
REPEATED = ("ingest/daily", "forecast/daily", "monitor/daily", "train/weekly", "deploy/weekly")


def train_when_asked(ids: Mapping[str, str]) -> dict[str, Any]:
    """Run the training when the monitor has a reason for it; more reasons in a day are one."""
    return _automation(
        "train when monitoring asks",
        {
            "type": "event",
            "posture": "Reactive",
            "expect": [TRAINING_WANTED],
            "threshold": 1,
            "within": DAY,
        },
        _run(ids["train/weekly"]),
    )


def alarm_when_missing(ids: Mapping[str, str]) -> dict[str, Any]:
    """Run the monitor when no delivery was completed for a day: it raises the alarm of old data."""
    deployment = f"prefect.deployment.{ids['ingest/daily']}"
    return _automation(
        "alarm when the day's data are missing",
        {
            "type": "event",
            "posture": "Proactive",
            "match_related": {
                "prefect.resource.id": deployment,
                "prefect.resource.role": "deployment",
            },
            "after": ["prefect.flow-run.Completed"],
            "expect": ["prefect.flow-run.Completed"],
            "threshold": 1,
            "within": DAY + LATE,
        },
        _run(ids["monitor/daily"]),
    )


def end_when_silent(_: Mapping[str, str]) -> dict[str, Any]:
    """Call a run crashed when nothing is heard of it: its machine died, and Prefect cannot know."""
    beat = "prefect.flow-run.heartbeat"
    return _automation(
        "end a run that is heard of no more",
        {
            "type": "event",
            "posture": "Proactive",
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "for_each": ["prefect.resource.id"],
            "after": [beat],
            "expect": [beat, *(f"prefect.flow-run.{end}" for end in ENDS)],
            "threshold": 1,
            "within": SILENCE,
        },
        {
            "type": "change-flow-run-state",
            "state": "CRASHED",
            "message": "nothing was heard of it any more: its machine or its worker died",
        },
    )


def repeat_when_crashed(ids: Mapping[str, str]) -> dict[str, Any]:
    """Run a deployment again when a run of it crashed; once a day, it may be what kills machines.

    Nothing is done twice by it: stages replace their results, versions and receipts have keys.
    """
    return _automation(
        "repeat a run that crashed",
        {
            "type": "event",
            "posture": "Reactive",
            "match_related": {
                "prefect.resource.id": [f"prefect.deployment.{ids[name]}" for name in REPEATED],
                "prefect.resource.role": "deployment",
            },
            "for_each": ["related:deployment:prefect.resource.id"],
            "expect": ["prefect.flow-run.Crashed"],
            "threshold": 1,
            "within": DAY,
        },
        {"type": "run-deployment", "source": "inferred"},
    )


def _automation(name: str, trigger: dict[str, Any], action: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "enabled": True, "trigger": trigger, "actions": [action]}


def _run(deployment: str) -> dict[str, Any]:
    return {"type": "run-deployment", "source": "selected", "deployment_id": deployment}


AUTOMATIONS: Sequence[Callable[[Mapping[str, str]], dict[str, Any]]] = (
    train_when_asked,
    alarm_when_missing,
    end_when_silent,
    repeat_when_crashed,
)
