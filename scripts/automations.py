"""What Prefect does by itself: train when monitoring asks, watch that the day's data come.

Each function takes the ids of the deployments by "flow/name" and returns what the server stores.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

TRAINING_WANTED = "salescast.training-wanted"
"""The event that `flows.on_prefect` emits when the monitor says why to train."""
DAY = 24 * 3600  # seconds
LATE = 2 * 3600  # seconds after the hour at which a daily run should be done


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


def _automation(name: str, trigger: dict[str, Any], action: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "enabled": True, "trigger": trigger, "actions": [action]}


def _run(deployment: str) -> dict[str, Any]:
    return {"type": "run-deployment", "source": "selected", "deployment_id": deployment}


AUTOMATIONS: Sequence[Callable[[Mapping[str, str]], dict[str, Any]]] = (
    train_when_asked,
    alarm_when_missing,
)
