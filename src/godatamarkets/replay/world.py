"""A replay's world: a workspace of its own, a simulated retailer, a journal that survives a kill.

The days themselves are in `days.py`; what they came to is told by `results.py`.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal, cast

import pandas as pd

from godatamarkets.feed import Simulation
from godatamarkets.replay.accounts import faults_of
from salescast import quality
from salescast.data.files import write_json
from salescast.errors import ConfigError, DataQualityError
from salescast.settings import Settings, Stores
from salescast.stages.ingestion import Supply

Size = Literal["small", "demo"]
REACTION_DAYS = 2  # until a person whom a refused delivery has paged has the export mended


@dataclass(frozen=True)
class Plan:
    """What is replayed: so many days after `start`, with so many things going wrong."""

    name: str
    size: Size
    seed: int
    start: date
    days: int
    scenarios: tuple[str, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """Return the faults as the simulated retailer writes them."""
        return faults_of(self.scenarios, pd.Timestamp(self.start), self.days)


@dataclass
class World:
    """The simulated retailer and what has happened so far, a journal entry a day."""

    settings: Settings
    plan: Plan
    shop: Simulation
    journal: list[dict[str, Any]] = field(default_factory=list)

    @property
    def supply(self) -> Supply:
        """Return the retailer as the supplier of `ingest`.

        Great Expectations judges the first delivery, and all that is stored before each training.
        """
        judge = quality.judge_plainly if self.journal else quality.judge
        return Supply(self.shop.fetch, judge)

    @property
    def next_day(self) -> date | None:
        """Return the day to replay next; None when all are done."""
        done = len(self.journal)
        if done > self.plan.days:
            return None
        day: date = (pd.Timestamp(self.plan.start) + pd.Timedelta(days=done)).date()
        return day

    def place(self, day: date, orders: Sequence[Sequence[Any]]) -> None:
        """Order at the close of `day`: (store_id, item_id, units) each; of all others none."""
        rows = pd.DataFrame(orders, columns=["store_id", "item_id", "units"])
        self.shop.place(pd.Timestamp(day), rows)

    def refused(self) -> int:
        """Return for how many days up to the last one every delivery was refused."""
        days = 0
        for entry in reversed(self.journal):
            if entry["delivery"] != "rejected":
                break
            days += 1
        return days

    def record(self, entry: dict[str, Any]) -> None:
        """Write the day down, whole or not at all, and take it as done."""
        write_json(self.settings.build / "days" / f"{entry['day']}.json", entry)
        self.journal.append(entry)


def make_plan(
    settings: Settings, named: tuple[str, str], start: date | None, days: int, what: Sequence[str]
) -> Plan:
    """Return a plan from what was typed: (name, size), the first day, how many, the scenarios.

    It begins where the embedded data end. Raises ConfigError for an unknown size.
    """
    name, size = named
    if size not in ("small", "demo"):
        raise ConfigError(f"size {size!r} is unknown; known are small and demo")
    told = settings.feed.godatamarkets
    plain = "-".join(text.partition("@")[0] for text in what)
    begin = start or told.embedded_until
    return Plan(
        name or f"{plain}-{size}-{days}", cast("Size", size), told.seed, begin, days, tuple(what)
    )


def open_world(settings: Settings, plan: Plan) -> World:
    """Return the world of `plan` in `build/replay/<name>`, as far as it was replayed before.

    A folder that holds another plan's replay is made anew.
    """
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # a replay registers its models with itself
    root = settings.root / "build" / "replay" / plan.name
    told = root / "plan.json"
    asked = json.loads(json.dumps(asdict(plan), default=str))
    if not told.exists() or json.loads(told.read_text("utf-8")) != asked:
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        shutil.copyfile(settings.root / "config.toml", root / "config.toml")
        write_json(told, asked)
    simulated = settings.feed.godatamarkets.model_copy(
        update={"size": plan.size, "seed": plan.seed, "faults": plan.faults}
    )
    feed = settings.feed.model_copy(
        update={"kind": "godatamarkets", "weather": "", "godatamarkets": simulated}
    )
    quiet = settings.monitoring.model_copy(update={"notify": ()})  # nobody is woken by a rehearsal
    own = settings.model_copy(
        update={"root": root, "feed": feed, "stores": Stores(), "monitoring": quiet}
    )
    world = World(own, plan, Simulation(plan.size, plan.seed, plan.faults))
    _resume(world, own.build / "days")
    return world


def _resume(world: World, folder: Path) -> None:
    """Take up the days that are written down: their orders are on the shelves again."""
    while (day := world.next_day) is not None and (folder / f"{day}.json").exists():
        path = folder / f"{day}.json"
        try:
            entry = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise DataQualityError(f"{path}: damaged ({error}); remove it to replay it") from error
        world.place(day, entry["orders"])
        if entry["mended"]:
            world.shop.mend(pd.Timestamp(day))
        world.journal.append(entry)
