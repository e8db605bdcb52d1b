"""`make bench-real-replay`: the real shop's last 20 weeks through the loop, day by day.

Each day's rows are delivered as they became known, and the flows' own functions take them in,
watch, train, judge, promote, forecast and order. What was served is scored on the days that came.
Nobody knows the demand behind a real shop's sales, nor its stock: no orders are played through.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.retail import FOLDER, Figure, publish
from flows.engine import inline
from godatamarkets.replay.daily_run import run_day
from salescast.contract.schema import close_of, last_day, latest
from salescast.data import store
from salescast.data.feeds import open_feed
from salescast.evaluation.backtest import outcomes, scores
from salescast.features.point_in_time import past
from salescast.ledger.ledger import Ledger
from salescast.models.response import uncensor
from salescast.ordering.orders import unit_costs
from salescast.settings import Settings, read_settings

SCRIPT = Path(__file__).parent.parent / "docs" / "how-to" / "uk_gift_retailer.py"
SHOP = FOLDER / "real-replay"
WEEKS = 20
CUTOFFS = "12"  # of the backtest: on the first day only 23 weeks are known


class Recorded:
    """A shop whose days are over: what `flows.replay` asks of a world, without a simulation."""

    def __init__(self, settings: Settings) -> None:
        """Open the shop's files."""
        self.settings, self.shop = settings, self
        self.journal: list[dict[str, Any]] = []
        self.feed = open_feed(settings.feed, settings.root)

    def refused(self) -> int:
        """Return 0: nobody is there to mend what is refused."""
        return 0

    def place(self, _day: object, _orders: Sequence[object]) -> None:
        """Order from nobody."""


def replayed() -> Recorded:
    """Map the shop's files, and live through its last weeks."""
    subprocess.run([sys.executable, SCRIPT, SHOP], check=True)  # noqa: S603 - ours
    os.environ["SALESCAST_CONFIG"] = str(SHOP / "config.toml")
    os.environ["SALESCAST_BACKTEST__CUTOFFS"] = CUTOFFS
    settings = read_settings()
    shop = Recorded(settings)
    ever = shop.feed(pd.Timestamp("2000-01-01"), close_of(pd.Timestamp("2100-01-01")))
    end = last_day(ever)
    logging.getLogger("salescast").setLevel(logging.WARNING)
    with store.rehearsing():
        for day in pd.date_range(end - pd.Timedelta(weeks=WEEKS), end):
            shop.journal.append(run_day(inline, shop, day.date()))  # type: ignore[arg-type]
            entry = shop.journal[-1]
            for alarm in entry["alarms"]:
                print(f"{entry['day']} {alarm['name']}: {alarm['subject']}", file=sys.stderr)
            if entry["trained"]:
                verdict = entry["trained"]["refused"] or "promoted"
                why = entry["trained"]["why"]
                print(f"{entry['day']} trained ({why}): {verdict}", file=sys.stderr)
    return shop


def figures() -> Iterator[Figure]:
    """Yield what the weeks came to."""
    shop = replayed()
    trained = [entry["trained"] for entry in shop.journal if entry["trained"]]
    alarms = [alarm for entry in shop.journal for alarm in entry["alarms"]]
    yield Figure("days", float(len(shop.journal)), "days")
    yield Figure("deliveries refused", _count(e["delivery"] == "rejected" for e in shop.journal))
    yield Figure("trainings", float(len(trained)), "")
    yield Figure("promoted", _count(not entry["refused"] for entry in trained), "")
    yield Figure("pages", _count(alarm["severity"] == "page" for alarm in alarms), "alarms")
    yield Figure("tickets", _count(alarm["severity"] == "ticket" for alarm in alarms), "alarms")
    yield Figure("days with a forecast", _count(e["champion"] is not None for e in shop.journal))
    yield from _scored(shop.settings)


def _count(found: Any) -> float:
    return float(sum(found))


def _scored(settings: Settings) -> Iterator[Figure]:
    tables = store.read_all(settings.data)
    with Ledger(settings.ledger_url) as ledger:
        served = ledger.forecasts()
    if served.empty:
        return
    truth = uncensor(past(tables, last_day(tables)))
    costs = unit_costs(latest("items", tables["items"]))
    rows = outcomes(served.assign(model="live"), truth, costs)
    for name, value in scores(rows, settings.forecast.quantiles).items():
        yield Figure(f"as served: {name}", value, "")


if __name__ == "__main__":
    sys.exit(0 if publish("real-replay", figures()) else 1)
