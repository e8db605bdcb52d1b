"""The page of a replay: the money, then what went wrong, and what was done about it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from salescast.reports import html, plots

YEAR_DAYS = 365.25
POLICIES = (
    ("ours", "ours"),
    ("planner", "status-quo planner"),
    ("frozen", "never trained again"),
    ("oracle", "best possible"),
)
LINES: Sequence[Mapping[str, Any]] = (
    {"color": plots.OURS, "linewidth": 2.4, "zorder": 4},
    {"color": plots.ALARM, "linewidth": 1.8, "linestyle": "--"},
    {"color": plots.SECOND, "linewidth": 1.6, "linestyle": "-."},
    {"color": plots.THIRD, "linewidth": 1.6, "linestyle": ":"},
)
LANES = ("what went wrong", "pages", "tickets", "trained", "promoted")


def replay_page(told: Mapping[str, Any]) -> str:
    """Return the page of what `stages.accounts.account` told."""
    plan = told["plan"]
    parts = [
        _tiles(told),
        _money(told),
        _timeline(told),
        _detections(told["detections"]),
        _trainings(told["trained"]),
        _alarms(told["alarms"]),
    ]
    what = ", ".join(plan["scenarios"])
    lead = (
        f"{plan['days']} days from {plan['start']} at a simulated retailer ({plan['size']}, "
        f"scenario {what}): each day the same steps as in production. Data and money are simulated."
    )
    return html.page("A replay of operation", lead, parts)


def a_year(told: Mapping[str, Any], name: str) -> float:
    """Return what a policy cost, as money a year."""
    weeks = len(told["costs"][name]["cycles"])
    return float(told["costs"][name]["cost"]) / weeks * YEAR_DAYS / 7


def _tiles(told: Mapping[str, Any]) -> str:
    currency = told["currency"]
    against = told["against"]["planner"]
    saved = a_year(told, "planner") - a_year(told, "ours")
    low, high = 1 - against["high"], 1 - against["low"]
    pages = [alarm for alarm in told["alarms"] if alarm["severity"] == "page"]
    false = len(told["false_pages"])
    found = [d["days"] for d in told["detections"] if d["days"] is not None]
    promoted = [t for t in told["trained"] if not t["refused"]]
    sure = f"80 % sure of {html.share(low)} to {html.share(high)}"
    middle = f"days until told, median: {np.median(found):.0f}" if found else "nothing to find"
    verdicts = f"{len(promoted)} promoted, {len(told['trained']) - len(promoted)} refused"
    all_found = len(found) == len(told["detections"])
    facts = [
        ("Saved a year against the status quo", html.money(saved, currency), sure, "good"),
        ("Of what the best possible saves", html.share(told["recovered"]), "", ""),
        ("Pages", str(len(pages)), f"{false} false", "bad" if false else "good"),
        (
            "Faults found",
            f"{len(found)} of {len(told['detections'])}",
            middle,
            "good" if all_found else "bad",
        ),
        ("Trained", str(len(told["trained"])), verdicts, ""),
    ]
    return html.tiles(facts)


def _money(told: Mapping[str, Any]) -> str:
    sums = {name: np.cumsum(told["costs"][name]["cycles"]) for name, _ in POLICIES}
    best = sums["oracle"]
    beyond = {name: sums[name] - best for name in ("ours", "frozen")}
    figures = html.figure(
        "Cost so far", "all meet the same demand", _curves("cost", told, sums)
    ) + html.figure(
        "Cost so far, beyond the best possible",
        "what learning again is worth: where the lines part",
        _curves("beyond", told, beyond),
    )
    lead = "What empty and overfull shelves cost. Grey: something was wrong."
    shown = f'<div class="plots">{figures}</div>'
    return html.section("The money", lead, shown) + _ways(told)


def _curves(name: str, told: Mapping[str, Any], sums: Mapping[str, Any]) -> str:
    currency = told["currency"]
    ends = pd.to_datetime(told["reviews"][: len(told["costs"]["ours"]["cycles"])])
    ends = ends + pd.Timedelta(days=9)  # a review's cycle is over so many days after it
    titles = {key: title for key, title in POLICIES if key in sums}
    alt = "At the end: " + ", ".join(
        f"{title} {html.money(float(sums[key][-1]), currency)}" for key, title in titles.items()
    )

    def draw(axes: Any) -> None:
        for fault in told["detections"]:
            days = pd.Timestamp(fault["start"]), pd.Timestamp(fault["end"])
            axes.axvspan(*days, color=plots.GRID, alpha=0.45, linewidth=0)
        for style, (key, title) in zip(LINES, POLICIES, strict=True):
            if key in titles:
                axes.plot(ends, sums[key], label=title, **style)
        axes.yaxis.set_major_formatter(lambda value, _: html.money(value, currency))
        axes.grid(axis="y", linewidth=0.7)
        _dates(axes)
        axes.legend(frameon=False, loc="upper left", labelcolor=plots.INK)

    return plots.svg(name, alt, (5.6, 3.6), draw)


def _ways(told: Mapping[str, Any]) -> str:
    currency = told["currency"]
    rows = [
        [
            title,
            html.money(float(told["costs"][name]["cost"]), currency),
            html.money(a_year(told, name), currency),
            html.share(told["costs"][name]["fill_rate"]),
            html.share(told["against"][name]["ratio"] - 1, signed=True)
            if name != "ours"
            else html.DASH,
        ]
        for name, title in POLICIES
    ]
    head = ["ordering", "cost", "a year", "served", "ours against it"]
    lead = "Lost margin, goodwill and holding, from the same first stock."
    return html.section("Ways of ordering", lead, html.table("Each way's cost", head, rows))


def _dates(axes: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    places = AutoDateLocator(minticks=4, maxticks=12)
    axes.xaxis.set_major_locator(places)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(places))


def _timeline(told: Mapping[str, Any]) -> str:
    alarms, trained = told["alarms"], told["trained"]
    marks = {
        "pages": ([a["day"] for a in alarms if a["severity"] == "page"], plots.ALARM, "v"),
        "tickets": ([a["day"] for a in alarms if a["severity"] == "ticket"], plots.SECOND, "o"),
        "trained": ([t["day"] for t in trained], plots.THIRD, "s"),
        "promoted": ([t["day"] for t in trained if not t["refused"]], plots.OURS, "^"),
    }
    start = pd.Timestamp(told["plan"]["start"])
    end = start + pd.Timedelta(days=told["plan"]["days"])

    def draw(axes: Any) -> None:
        for place, fault in enumerate(told["detections"]):
            a, b = pd.Timestamp(fault["start"]), pd.Timestamp(fault["end"])
            axes.plot([a, b], [0, 0], color=plots.ALARM, linewidth=7, solid_capstyle="butt")
            axes.annotate(
                fault["name"].replace("_", " "),
                (a, 0),
                xytext=(0, 8 + 11 * (place % 3)),
                textcoords="offset points",
                fontsize=8,
            )
        for place, name in enumerate(LANES[1:], 1):
            days, colour, marker = marks[name]
            axes.plot(
                pd.to_datetime(days),
                np.full(len(days), -place),
                color=colour,
                marker=marker,
                linestyle="",
                markersize=6,
            )
        axes.set_yticks([-n for n in range(len(LANES))], LANES)
        axes.set_ylim(-len(LANES) + 0.5, 1.2)
        axes.set_xlim(start - pd.Timedelta(days=3), end + pd.Timedelta(days=3))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", linewidth=0.5)
        _dates(axes)

    alt = ", ".join(f"{len(days)} {name}" for name, (days, _, _) in marks.items())
    drawn = plots.svg("timeline", alt, (9.0, 2.9), draw)
    lead = "What went wrong, who was told, and what the product did about it."
    return html.section("Day by day", lead, html.figure("Timeline", "", drawn))


def _detections(found: Sequence[Mapping[str, Any]]) -> str:
    title, lead = "What went wrong", "Each fault and the first alarm that told it."
    if not found:
        return html.section(title, lead, html.empty("Nothing went wrong."))
    rows = [
        [
            str(fault["name"]).replace("_", " "),
            fault["start"],
            str(fault["alarm"] or "not found").replace("_", " "),
            html.DASH if fault["days"] is None else f"{fault['days']}",
        ]
        for fault in found
    ]
    head = ["fault", "from", "first alarm", "days until then"]
    return html.section(title, lead, html.table("Faults and alarms", head, rows))


def _trainings(trained: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            each["day"],
            str(each["why"]).replace("_", " "),
            html.DASH if each["version"] is None else f"{each['version']}",
            "promoted" if not each["refused"] else "refused",
        ]
        for each in trained
    ]
    head = ["day", "why", "version", "verdict"]
    lead = "By schedule or because an alarm asked; the gate decides."
    return html.section("Trainings", lead, html.table("Every training", head, rows))


def _alarms(alarms: Sequence[Mapping[str, Any]]) -> str:
    lead = "Each names a page of the runbook. None is repeated within its cooldown."
    if not alarms:
        return html.section("Alarms", lead, html.empty("No alarms."))
    rows = [[a["day"], a["severity"], a["name"].replace("_", " "), a["subject"]] for a in alarms]
    head = ["day", "severity", "alarm", "about"]
    return html.section("Alarms", lead, html.table("Every alarm", head, _newest(rows)))


def _newest(rows: Iterable[Sequence[str]]) -> list[Sequence[str]]:
    return sorted(rows, key=lambda row: row[0])
