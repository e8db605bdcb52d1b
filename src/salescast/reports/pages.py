"""The pages a person reads: the scorecard of a backtest, the monitoring report, the dossier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from salescast.evaluation.backtest import CHALLENGER
from salescast.reports import plots
from salescast.reports.rendering import DASH, TEMPLATES, known, money, render, share

TITLES = {
    CHALLENGER: "our model",
    "weekday_mean": "8-week weekday mean",
    "seasonal_naive": "seasonal naive",
    "blind": "our model without weather",
    "planner": "status-quo planner",
}
BASELINES = ("weekday_mean", "seasonal_naive")
PLANNER = "planner"
SEGMENTS = (
    ("by_store", "Stores", "store"),
    ("by_item", "Items", "item"),
    ("by_season", "Seasons", "season"),
    ("by_rain", "Rain", "weather of the day"),
)

Tile = tuple[str, str, str, str]
"""Label, value, note and tone (good, bad or none)."""


def scorecard_page(card: Mapping[str, Any], currency: str) -> str:
    """Return the page of a `backtest.scorecard`; the currency is an ISO 4217 code."""
    names = sorted(card["models"], key=lambda name: ([*TITLES, name].index(name), name))
    models = {name: card["models"][name] for name in names}
    titles = TITLES | {name: name for name in models if name not in TITLES}
    costs = [of["overall"]["cost_per_year"] for of in models.values()]
    curves = {titles[name]: of["by_lead"] for name, of in list(models.items())[: len(plots.STYLES)]}
    inventory = card.get("inventory") or {}
    return render(
        TEMPLATES / "scorecard.html",
        card=card,
        models=models,
        titles=titles,
        currency=currency,
        inventory=sorted(inventory.items(), key=lambda item: item[1]["cost_per_year"]),
        savings=_savings(card, models, currency),
        largest_cost=max(filter(known, costs), default=0.0),
        entries=[(plots.swatch(place), title) for place, title in enumerate(curves)],
        charts=plots.lead_charts("lead", curves),
        segments=SEGMENTS,
        comparisons=[f"saved against {titles[name]}" for name in models if name != CHALLENGER],
        saved=_saved_share,
    )


def _savings(card: Mapping[str, Any], models: Mapping[str, Any], currency: str) -> list[Tile]:
    """Return the tiles of what the challenger saves, by inventory simulation where there is one."""
    costs = {name: models[name]["overall"]["cost_per_year"] for name in (CHALLENGER, *BASELINES)}
    savings = [
        _baseline_tile(
            TITLES[name], costs[name], costs[CHALLENGER], currency, card["saved"].get(name)
        )
        for name in BASELINES
    ]
    if card.get("inventory"):
        return [_inventory_tile(card["inventory"], currency), savings[0]]
    return savings


def _inventory_tile(inventory: Mapping[str, Any], currency: str) -> Tile:
    challenger = inventory[CHALLENGER]
    saved = inventory[PLANNER]["cost_per_year"] - challenger["cost_per_year"]
    low, high = (share(1 - challenger[f"of_planner_{bound}"]) for bound in ("high", "low"))
    part = share(1 - challenger["of_planner_ratio"])
    note = f"{part} of the planner's cost; 80 % interval {low} to {high}"
    return _saving_tile("on the shelves against the planner", saved, currency, note)


def _baseline_tile(
    title: str,
    baseline: float | None,
    cost: float | None,
    currency: str,
    interval: Mapping[str, float] | None,
) -> Tile:
    if baseline is None or cost is None or not (known(baseline) and known(cost)):
        return f"Against the {title}", DASH, "not known", ""
    saved = baseline - cost
    part = share(abs(saved) / baseline) if baseline else DASH
    note = f"{part} {'less' if saved >= 0 else 'more'} than its cost"
    if interval:
        low, high = (money(interval[bound], currency) for bound in ("low", "high"))
        note += f"; 90 % interval {low} to {high}"
    return _saving_tile(f"against the {title}", saved, currency, note)


def _saving_tile(label: str, saved: float, currency: str, note: str) -> Tile:
    verb, tone = ("Saved", "good") if saved >= 0 else ("Lost", "bad")
    return f"{verb} a year {label}", money(abs(saved), currency), note, tone


def _saved_share(challenger: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
    """Return the share of the other model's cost that the challenger saves in a segment."""
    cost, baseline = challenger["cost"], other.get("cost")
    return 1 - cost / baseline if cost is not None and baseline else None


@dataclass(frozen=True)
class Listing:
    """A table with a caption; its first row is the head."""

    caption: str
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Section:
    """A titled part of a dossier: a lead, then a list of sentences, then tables."""

    title: str
    lead: str
    sentences: Sequence[str] = ()
    tables: Sequence[Listing] = ()

    @property
    def empty(self) -> bool:
        """True where the section has a title and a lead only."""
        return not (self.sentences or any(len(table.rows) > 1 for table in self.tables))


def dossier_text(template: str, title: str, lead: str, sections: Sequence[Section]) -> str:
    """Return the dossier; `template`: dossier.html or dossier.md."""
    return render(TEMPLATES / template, title=title, lead=lead, sections=sections)


SERIES_DAY = ["store_id", "item_id", "date"]


def monitoring_page(summary: Mapping[str, Any], scored: pd.DataFrame) -> str:
    """Return the page of a monitoring summary and its live scored rows."""
    live = summary["live"]
    drift = {name: value for name, value in summary["drift"].items() if known(value)}
    threshold = summary.get("drift_threshold")
    return render(
        TEMPLATES / "monitoring.html",
        summary=summary,
        live=live,
        alarms=summary["open_alarms"],
        entries=[(plots.swatch(i), name) for i, name in enumerate(("forecast (mean)", "demand"))],
        days="" if scored.empty else plots.totals(totals(scored)),
        leads=sorted(live["by_lead"].items(), key=lambda item: int(item[0])),
        charts=plots.lead_charts("live", {"live": live["by_lead"]}) if live["by_lead"] else [],
        drift=plots.drift(drift, threshold) if drift else "",
        threshold=threshold,
    )


def totals(scored: pd.DataFrame) -> pd.DataFrame:
    """Return per date the sum of `mean` and of `actual` over the series that matured.

    Of several forecasts of one day the newest counts: the one of the shortest lead.
    """
    newest = scored.sort_values("lead_time", kind="stable").drop_duplicates(SERIES_DAY)
    return newest.groupby("date", as_index=False)[["mean", "actual"]].sum()
