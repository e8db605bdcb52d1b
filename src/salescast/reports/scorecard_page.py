"""The page of a backtest: money first, then errors by lead day, store and item."""

from collections.abc import Mapping
from html import escape
from typing import Any

from salescast.reports import html, plots

OURS = "challenger"
TITLES = {
    OURS: "our model",
    "weekday_mean": "8-week weekday mean",
    "seasonal_naive": "seasonal naive",
    "blind": "our model without weather",
    "planner": "status-quo planner",
}
BASELINES = ("weekday_mean", "seasonal_naive")
PLANNER = "planner"
BY_LEAD = (
    (
        "wape",
        "Error of the median (WAPE)",
        "Σ|forecast − actual| ÷ Σ actual; lower is better",
        None,
    ),
    (
        "coverage_80",
        "Outcomes inside p10…p90",
        "80 % would be exact; counts lie a little above",
        0.8,
    ),
    ("bias", "Bias of the mean", "above zero: too much was forecast", 0.0),
)
SEGMENTS = (
    ("by_store", "Stores", "store"),
    ("by_item", "Items", "item"),
    ("by_season", "Seasons", "season"),
    ("by_rain", "Rain", "weather of the day"),
)


def scorecard_page(card: Mapping[str, Any], currency: str) -> str:
    """Return the page of a `backtest.scorecard`; the currency is an ISO 4217 code."""
    models = {name: card["models"][name] for name in _order(card["models"])}
    parts = [_tiles(card, models, currency)]
    parts += [_shelves(card["inventory"], currency)] if card.get("inventory") else []
    parts += [_money(models, currency), _leads(models)]
    parts += [_segment(models, *segment, currency) for segment in SEGMENTS]
    return html.page("What the forecasts are worth", _lead(card), parts)


def _order(models: Mapping[str, Any]) -> list[str]:
    return [*(n for n in TITLES if n in models), *sorted(n for n in models if n not in TITLES)]


def _title(name: str) -> str:
    return TITLES.get(name, name)


def _lead(card: Mapping[str, Any]) -> str:
    origins = card["origins"]
    return (
        f"{card['series']} series, forecast as they would have been served at {len(origins)} "
        f"origins from {origins[0]} to {origins[-1]}, and compared with what was wanted: on "
        f"{html.share(card['censored'])} of the days an item sold out, and its demand is estimated."
    )


def _tiles(card: Mapping[str, Any], models: Mapping[str, Any], currency: str) -> str:
    ours, saved = models[OURS]["overall"], card["saved"]
    rivals = [_against(name, models, saved.get(name), currency) for name in BASELINES]
    if card.get("inventory"):
        rivals = [_chain(card["inventory"], currency), *rivals[:1]]
    coverage = html.share(ours["coverage_80"])
    rest = [
        ("WAPE of the median", html.decimal(ours["wape"]), "all lead days", ""),
        ("Inside p10…p90", coverage, f"bias {html.share(ours['bias'], signed=True)}", ""),
    ]
    return html.tiles([*rivals, *rest])


def _chain(inventory: Mapping[str, Any], currency: str) -> tuple[str, str, str, str]:
    ours, theirs = (inventory[name] for name in (OURS, PLANNER))
    saved = theirs["cost_per_year"] - ours["cost_per_year"]
    low, high = (html.share(1 - ours[f"of_planner_{bound}"]) for bound in ("high", "low"))
    note = f"{html.share(1 - ours['of_planner_ratio'])} of his cost; 80 % sure of {low} to {high}"
    verb, tone = ("Saved", "good") if saved >= 0 else ("Lost", "bad")
    label = f"{verb} a year on the shelves against the planner"
    return label, html.money(abs(saved), currency), note, tone


def _shelves(inventory: Mapping[str, Mapping[str, float]], currency: str) -> str:
    dearest = max(of["cost_per_year"] for of in inventory.values())
    rows = [
        (
            _title(name),
            name,
            of["cost_per_year"] / dearest if dearest else None,
            [
                html.money(of["cost_per_year"], currency),
                f"{html.money(of['low'], currency)} to {html.money(of['high'], currency)}",
                html.share(of["fill_rate"]),
                html.share(of["of_planner_ratio"]),
            ],
        )
        for name, of in sorted(inventory.items(), key=lambda one: one[1]["cost_per_year"])
    ]
    head = ["who orders", "", "cost a year", "80 % sure", "fill rate", "of the planner's cost"]
    return html.section(
        "On the shelves",
        "Orders placed at every cutoff and shelves simulated day by day against the same demand: "
        "lost margin, goodwill and holding of all series. The planner orders up to nine days of "
        "recent demand plus a quarter.",
        html.bar_table("Cost of a year by who places the orders", head, rows),
    )


def _against(
    name: str,
    models: Mapping[str, Any],
    saving: Mapping[str, float] | None,
    currency: str,
) -> tuple[str, str, str, str]:
    theirs, mine = (models[n]["overall"]["cost_per_year"] for n in (name, OURS))
    if not (html.known(theirs) and html.known(mine)):
        return f"Against {_title(name)}", html.DASH, "not known", ""
    saved = theirs - mine
    part = html.share(abs(saved) / theirs) if theirs else html.DASH
    verb, tone = ("Saved", "good") if saved >= 0 else ("Lost", "bad")
    label = f"{verb} a year against the {_title(name)}"
    note = f"{part} {'less' if saved >= 0 else 'more'} than its cost"
    if saving:
        low, high = (html.money(saving[bound], currency) for bound in ("low", "high"))
        note += f"; 90 % sure of {low} to {high}"
    return label, html.money(abs(saved), currency), note, tone


def _money(models: Mapping[str, Any], currency: str) -> str:
    costs = {name: of["overall"]["cost_per_year"] for name, of in models.items()}
    dearest = max((cost for cost in costs.values() if html.known(cost)), default=0.0)
    rows = [
        (
            _title(name),
            name,
            costs[name] / dearest if dearest and html.known(costs[name]) else None,
            [html.money(costs[name], currency), *_scores(of["overall"])],
        )
        for name, of in models.items()
    ]
    head = ["model", "", "cost a year", "WAPE", "bias", "80 % coverage"]
    caption = "Cost of a year for all series, and errors over all lead days"
    return html.section(
        "Money",
        "A unit short costs its margin and a customer's goodwill, a unit left over costs a day's "
        "holding. Each model stocks what it thinks pays best; this is what its errors cost.",
        html.bar_table(caption, head, rows),
    )


def _scores(of: Mapping[str, Any]) -> list[str]:
    bias, coverage = html.share(of["bias"], signed=True), html.share(of["coverage_80"])
    return [html.decimal(of["wape"]), bias, coverage]


def _leads(models: Mapping[str, Any]) -> str:
    shown = [name for name, _ in zip(models, plots.STYLES, strict=False)]
    legend = "".join(
        f"<li>{plots.swatch(i)}{escape(_title(name))}</li>" for i, name in enumerate(shown)
    )
    figures = "".join(_lead_figure(models, shown, drawn) for drawn in BY_LEAD)
    return html.section(
        "By lead day",
        "Lead 1 is the day after the forecast was made.",
        f'<ul class="legend">{legend}</ul><div class="plots">{figures}</div>',
    )


def _lead_figure(
    models: Mapping[str, Any], shown: list[str], drawn: tuple[str, str, str, float | None]
) -> str:
    score, caption, note, target = drawn
    lines = {name: curve(models[name]["by_lead"], score) for name in shown}
    alt = f"{caption} by lead day. " + "; ".join(
        describe(_title(name), line) for name, line in lines.items()
    )
    percent = score != "wape"
    svg = plots.by_lead(f"lead-{score}", alt, lines, target=target, percent=percent)
    return html.figure(caption, note, svg)


def curve(by_lead: Mapping[str, Mapping[str, Any]], score: str) -> dict[int, float]:
    """Return lead → value where it is known, in the order of leads."""
    found = {int(lead): of[score] for lead, of in by_lead.items() if html.known(of[score])}
    return dict(sorted(found.items()))


def describe(title: str, line: Mapping[int, float]) -> str:
    """Return a line in words: its first and its last value."""
    if not line:
        return f"{title}: nothing known"
    (first, start), (last, end) = min(line.items()), max(line.items())
    return f"{title}: {start:.2f} at lead {first}, {end:.2f} at lead {last}"


def _segment(models: Mapping[str, Any], segment: str, title: str, one: str, currency: str) -> str:
    rivals = [name for name in models if name != OURS]
    head = [one, "cost a day", *(f"saved against {_title(name)}" for name in rivals)]
    rows = [
        [key, html.money(of["cost"], currency, 2)]
        + [_saved(of["cost"], models[name][segment].get(key, {}).get("cost")) for name in rivals]
        + _scores(of)
        for key, of in models[OURS][segment].items()
    ]
    lead = f"Our model, {one} by {one}: the mean cost of one series and day, and its errors."
    caption = f"Scores of our model by {one}"
    return html.section(
        title, lead, html.table(caption, [*head, "WAPE", "bias", "80 % coverage"], rows)
    )


def _saved(ours: float | None, theirs: float | None) -> str:
    if ours is None or theirs is None or not theirs:
        return html.DASH
    return html.share(1 - ours / theirs, signed=True)
