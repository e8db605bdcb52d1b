"""The page of a replay: the money first, then faults, trainings and alarms."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from godatamarkets.replay.policies import FROZEN, ORACLE, PLANNER, PRODUCT, TITLES
from salescast.reports import plots
from salescast.reports.rendering import money, render

YEAR_DAYS = 365.25
LINES: Mapping[str, Mapping[str, Any]] = {
    PRODUCT: {"color": plots.FIRST, "linewidth": 2.4, "zorder": 4},
    PLANNER: {"color": plots.ALARM, "linewidth": 1.8, "linestyle": "--"},
    FROZEN: {"color": plots.SECOND, "linewidth": 1.6, "linestyle": "-."},
    ORACLE: {"color": plots.THIRD, "linewidth": 1.6, "linestyle": ":"},
}


def replay_page(result: Mapping[str, Any]) -> str:
    """Return the page of what `replay_summary.summarize` returned."""
    costs, alarms, trained = result["costs"], result["alarms"], result["trained"]
    yearly = {name: _cost_per_year(costs[name]) for name in TITLES}
    total = {name: np.cumsum(costs[name]["cycles"]) for name in TITLES}
    excess = {name: total[name] - total[ORACLE] for name in (PRODUCT, FROZEN)}
    detected = [fault["days"] for fault in result["detections"] if fault["days"] is not None]
    return render(
        Path(__file__).with_name("replay.html"),
        result=result,
        plan=result["plan"],
        currency=result["currency"],
        costs=costs,
        yearly=yearly,
        against=result["against"],
        titles=TITLES,
        saved=yearly[PLANNER] - yearly[PRODUCT],
        pages=sum(alarm["severity"] == "page" for alarm in alarms),
        promoted=sum(not training["refused"] for training in trained),
        detected=detected,
        median_days=float(np.median(detected)) if detected else 0.0,
        cost_chart=_cost_chart("cost", result, total),
        excess_chart=_cost_chart("excess", result, excess),
        timeline=_timeline(result),
    )


def _cost_per_year(costs: Mapping[str, Any]) -> float:
    return float(costs["cost"]) / len(costs["cycles"]) * YEAR_DAYS / 7


def _cost_chart(name: str, result: Mapping[str, Any], totals: Mapping[str, Any]) -> str:
    """Return the running cost per policy as a drawing; `totals`: policy → cost at each review."""
    currency = result["currency"]
    ends = pd.to_datetime(result["reviews"][: len(result["costs"][PRODUCT]["cycles"])])
    ends = ends + pd.Timedelta(days=9)  # the days until a review's cycle is over
    alt = "At the end: " + ", ".join(
        f"{TITLES[policy]} {money(float(total[-1]), currency)}" for policy, total in totals.items()
    )

    def draw(axes: Any) -> None:
        for fault in result["detections"]:
            days = pd.Timestamp(fault["start"]), pd.Timestamp(fault["end"])
            axes.axvspan(*days, color=plots.GRID, alpha=0.45, linewidth=0)
        for policy, total in totals.items():
            axes.plot(ends, total, label=TITLES[policy], **LINES[policy])
        axes.yaxis.set_major_formatter(lambda value, _: money(value, currency))
        axes.grid(axis="y", linewidth=0.7)
        plots.date_axis(axes)
        axes.legend(frameon=False, loc="upper left", labelcolor=plots.INK)

    return plots.svg(name, alt, (5.6, 3.6), draw)


def _timeline(result: Mapping[str, Any]) -> str:
    lanes = _lanes(result)
    start = pd.Timestamp(result["plan"]["start"])
    margin = pd.Timedelta(days=3)

    def draw(axes: Any) -> None:
        _draw_faults(axes, result["detections"])
        for place, (days, colour, marker) in enumerate(lanes.values(), 1):
            heights = np.full(len(days), -place)
            axes.plot(pd.to_datetime(days), heights, marker, color=colour, markersize=6)
        axes.set_yticks([-place for place in range(len(lanes) + 1)], ["faults", *lanes])
        axes.set_ylim(-len(lanes) - 0.5, 1.2)
        axes.set_xlim(start - margin, start + pd.Timedelta(days=result["plan"]["days"]) + margin)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", linewidth=0.5)
        plots.date_axis(axes)

    alt = ", ".join(f"{len(days)} {name}" for name, (days, _, _) in lanes.items())
    return plots.svg("timeline", alt, (9.0, 2.9), draw)


def _lanes(result: Mapping[str, Any]) -> dict[str, tuple[Sequence[str], str, str]]:
    """Return the days, colour and marker of each lane of the timeline."""
    alarms, trained = result["alarms"], result["trained"]
    promoted = [training["day"] for training in trained if not training["refused"]]
    return {
        "pages": ([a["day"] for a in alarms if a["severity"] == "page"], plots.ALARM, "v"),
        "tickets": ([a["day"] for a in alarms if a["severity"] == "ticket"], plots.SECOND, "o"),
        "trained": ([training["day"] for training in trained], plots.THIRD, "s"),
        "promoted": (promoted, plots.FIRST, "^"),
    }


def _draw_faults(axes: Any, faults: Sequence[Mapping[str, Any]]) -> None:
    for place, fault in enumerate(faults):
        days = pd.Timestamp(fault["start"]), pd.Timestamp(fault["end"])
        axes.plot(days, [0, 0], color=plots.ALARM, linewidth=7, solid_capstyle="butt")
        axes.annotate(
            fault["name"].replace("_", " "),
            (days[0], 0),
            xytext=(0, 8 + 11 * (place % 3)),
            textcoords="offset points",
            fontsize=8,
        )
