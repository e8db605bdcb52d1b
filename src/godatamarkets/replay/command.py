"""The command `salescast replay`, registered under `salescast.commands`."""

import logging
from datetime import datetime
from typing import Annotated

import typer

from salescast.cli import JsonOption, print_result
from salescast.settings import read_settings

log = logging.getLogger("salescast")


def replay(
    days: Annotated[int, typer.Option(min=1, help="How many days.")] = 365,
    scenario: Annotated[
        list[str],
        typer.Option(help="Faults: calm, year, a fault or fault@date:key=value."),
    ] = ["calm"],  # noqa: B006 - Typer reads it and does not change it
    start: Annotated[
        datetime | None,
        typer.Option(
            "--from",
            formats=["%Y-%m-%d"],
            metavar="DATE",
            help="First day; default: where the data in the repository end.",
        ),
    ] = None,
    size: Annotated[str, typer.Option(help="small: 18 series; demo: 144.")] = "small",
    name: Annotated[str, typer.Option(help="The folder below build/replay.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Replay days of operation with the simulated retailer, in a workspace of its own."""
    from flows.engine import inline
    from godatamarkets.replay.daily_run import run_days
    from godatamarkets.replay.replay_state import make_plan, open_replay
    from godatamarkets.replay.replay_summary import summarize
    from salescast.data import store
    from salescast.stages.progress import progress, steps

    settings = read_settings()
    plan = make_plan(settings, (name, size), start.date() if start else None, days, scenario)
    replayed = open_replay(settings, plan)
    log.setLevel(logging.WARNING)  # a line per stage would be too much for hundreds of days
    with store.rehearsing(), progress("replay"):
        run_days(inline, replayed, lambda r: steps.debug("day %d of %d", len(r.journal), days + 1))
        result = summarize(replayed)
    print_result(result, as_json=as_json)
