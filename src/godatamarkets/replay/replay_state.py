"""A replay: a workspace of its own, a simulated retailer, a journal that survives a kill.

The days are in `daily_run.py`, their result in `replay_summary.py`.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, cast

import pandas as pd

from godatamarkets.catalogue import START
from godatamarkets.feed import Simulation
from godatamarkets.replay.detection import scenario_faults
from salescast.data.delivery import Feed
from salescast.data.files import as_json, write_json
from salescast.errors import ConfigError, DataQualityError
from salescast.settings import Settings, Stores

Size = Literal["small", "demo"]
REACTION_DAYS = 2  # from the page about a refused delivery until the export is repaired
MOST_YEARS = 20  # of simulation; each year takes memory and seconds


@dataclass(frozen=True)
class Plan:
    """What is replayed: the days after `start`, and the faults in them."""

    name: str
    size: Size
    seed: int
    start: date
    days: int
    scenarios: tuple[str, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """Return the faults in the simulator's notation."""
        return scenario_faults(self.scenarios, pd.Timestamp(self.start), self.days)


@dataclass
class Replay:
    """The simulated retailer and the journal so far, one entry a day."""

    settings: Settings
    plan: Plan
    shop: Simulation
    journal: list[dict[str, Any]] = field(default_factory=list)

    @property
    def feed(self) -> Feed:
        """Return the retailer as the feed of `ingest`."""
        return self.shop.fetch

    @property
    def next_day(self) -> date | None:
        """Return the day to replay next; None when all are done."""
        done = len(self.journal)
        if done > self.plan.days:
            return None
        day: date = (pd.Timestamp(self.plan.start) + pd.Timedelta(days=done)).date()
        return day

    def place(self, day: date, orders: Sequence[Sequence[Any]]) -> None:
        """Place the orders of `day`: (store_id, item_id, units); all other series get none."""
        rows = pd.DataFrame(orders, columns=["store_id", "item_id", "units"])
        self.shop.place(pd.Timestamp(day), rows)

    def refused(self) -> int:
        """Return the number of days, up to the last one, with refused deliveries only."""
        days = 0
        for entry in reversed(self.journal):
            if entry["delivery"] != "rejected":
                break
            days += 1
        return days

    def record(self, entry: dict[str, Any]) -> None:
        """Write the journal entry of a day, whole or not at all."""
        write_json(self.settings.build / "days" / f"{entry['day']}.json", entry)
        self.journal.append(entry)


def make_plan(
    settings: Settings,
    named: tuple[str, str],
    start: date | None,
    days: int,
    scenarios: Sequence[str],
) -> Plan:
    """Return a plan; `named`: (name, size). It begins where the embedded data end.

    Raises ConfigError for an unknown size and for days that are not simulated.
    """
    name, size = named
    first, last = START.date(), date(START.year + MOST_YEARS, 1, 1)
    if start and not first <= start <= last - timedelta(days=days):
        raise ConfigError(
            f"{days} days from {start}: the retailer can be replayed from {first} to {last}"
        )
    if size not in ("small", "demo"):
        raise ConfigError(f"size {size!r} is unknown; use small or demo")
    simulator = settings.feed.godatamarkets
    scenario = "-".join(text.partition("@")[0] for text in scenarios)
    return Plan(
        name or f"{scenario}-{size}-{days}",
        cast("Size", size),
        simulator.seed,
        start or simulator.embedded_until,
        days,
        tuple(scenarios),
    )


def open_replay(settings: Settings, plan: Plan) -> Replay:
    """Return the replay of `plan` in `build/replay/<name>`, with the days already in its journal.

    A folder that holds the replay of another plan is cleared.
    """
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # a replay has a model registry of its own
    root = settings.root / "build" / "replay" / plan.name
    record = root / "plan.json"
    planned = json.loads(json.dumps(asdict(plan), default=str))
    if not record.exists() or as_json(record.read_bytes()) != planned:
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        shutil.copyfile(settings.root / "config.toml", root / "config.toml")
        write_json(record, planned)
    replay = Replay(
        _own_settings(settings, plan, root), plan, Simulation(plan.size, plan.seed, plan.faults)
    )
    _resume(replay, replay.settings.build / "days")
    return replay


def _own_settings(settings: Settings, plan: Plan, root: Path) -> Settings:
    """Return settings with the simulated feed, stores below `root`, and no notifications."""
    simulator = settings.feed.godatamarkets.model_copy(
        update={"size": plan.size, "seed": plan.seed, "faults": plan.faults}
    )
    feed = settings.feed.model_copy(
        update={"kind": "godatamarkets", "weather": "", "godatamarkets": simulator}
    )
    monitoring = settings.monitoring.model_copy(update={"notify": ()})
    return settings.model_copy(
        update={"root": root, "feed": feed, "stores": Stores(), "monitoring": monitoring}
    )


def _resume(replay: Replay, folder: Path) -> None:
    """Append the days of an earlier process to the journal, and place their orders again."""
    while (day := replay.next_day) is not None and (folder / f"{day}.json").exists():
        path = folder / f"{day}.json"
        try:
            entry = as_json(path.read_bytes())
        except ValueError as error:
            raise DataQualityError(f"{path}: damaged ({error}); remove it to replay it") from error
        replay.place(day, entry["orders"])
        if entry["mended"]:
            replay.shop.mend(pd.Timestamp(day))
        replay.journal.append(entry)
