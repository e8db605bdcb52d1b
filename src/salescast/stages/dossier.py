"""The dossier of a version and the card of its data: what the run recorded, in sections."""

import hashlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from salescast import reports
from salescast.contract.schema import TABLES, Tables
from salescast.data.files import read_json
from salescast.evaluation.backtest import CHALLENGER, SEGMENTS
from salescast.registry import Registry, Version
from salescast.registry.runs import Tried
from salescast.release.bundle import installed
from salescast.reports import Listing, Section
from salescast.settings import Settings

PACKAGES = ("numpy", "pandas", "scipy", "scikit-learn", "skops", "mlflow", "dvc", "prefect")
WEAKEST = 3  # segments named of each kind
RESULTS = {
    "validate": "quality.json",
    "features": "features.parquet",
    "backtest": "predictions.parquet",
    "train": "model.skops",
    "gate": "decision.json",
}
"""Stage → its main result under build/."""
SCORES = ("cost_per_year", "wape", "bias", "coverage_80", "wql", "skill")
LIMITS = (
    "It forecasts series it has seen, for the leads of its contract, and refuses any other.",
    "It supports a planner's orders; no pay and no price should depend on it alone.",
    "It knows future promotions and prices only from the plan.",
    "Without a weather forecast it uses climatology and flags the forecast as degraded.",
)


def write(settings: Settings, registry: Registry, version: Version, tables: Tables) -> None:
    """Write the dossier and the data card of a judged version, and log both with it."""
    folder, name = settings.build / "dossier", settings.product.name
    card = data_card(settings, tables, version)
    sections = dossier(settings, registry, version, tables)
    lead = (
        f"Written when it was judged, {version.tags['origin']}; every number was recorded by a run."
    )
    title = f"{name}, version {version.number}"
    reports.write_dossier(folder / "dossier.html", title, lead, sections)
    title = f"Data of {name}, version {version.tags['data_version']}"
    reports.write_dossier(folder / "data_card.html", title, "What the model learned from.", card)
    registry.log_artifact(version, folder)


def dossier(
    settings: Settings, registry: Registry, version: Version, tables: Tables
) -> list[Section]:
    """Return the sections of a judged version."""
    build = settings.build
    card = read_json(build / "scorecard.json", "backtest")
    decision = read_json(build / "decision.json", "gate")
    return [
        _use(settings),
        *data_card(settings, tables, version),
        _target(card),
        _pipeline(settings),
        _experiments(registry.tried(), settings, decision),
        _examination(card, settings.product.currency),
        _weak(card),
        _gate(decision),
        _environment(settings),
        _lineage(version, registry),
    ]


def data_card(settings: Settings, tables: Tables, version: Version) -> list[Section]:
    """Return the sections about the data: where from, how much, what each column means."""
    quality = read_json(settings.build / "quality.json", "validate")
    feed = f"feed `{settings.feed.kind}`" + (
        f", weather from {settings.feed.weather}" if settings.feed.weather else ""
    )
    sentences = [
        (
            f"Delivered by {settings.product.retailer}: {feed}, data version "
            f"{version.tags['data_version']}."
        ),
        f"{quality['rows_checked']:,} rows were checked: {quality['status'].replace('_', ' ')}.",
    ]
    # simulated: from here
    if settings.feed.kind == "godatamarkets":
        sentences.append(
            "Simulated: no row is about a person or a real shop, and no dollar is real."
        )
    # simulated: to here
    stored = Listing("Rows stored", [EXTENT, *_extents(tables)])
    sources = Section("Data sources", "Where the rows come from.", sentences, [stored])
    return [sources, _schemas(tables)]


EXTENT = ("table", "rows", "from", "until", "known until", "empty cells")


def _extents(tables: Tables) -> Iterator[Sequence[object]]:
    for name, rows in tables.items():
        spec = TABLES[name]
        days = rows["date"] if "date" in rows else rows[spec.known_at]
        empty = f"{float(rows.isna().to_numpy().mean()):.1%}" if len(rows) else ""
        extent = (days.min(), days.max(), rows[spec.known_at].max())
        yield name, f"{len(rows):,}", *map(_day, extent), empty


def _day(moment: Any) -> str:
    return "" if pd.isna(moment) else f"{moment:%Y-%m-%d}"


def _schemas(tables: Tables) -> Section:
    head = ("column", "kind", "possible", "meaning")
    listings = []
    for name in tables:
        spec = TABLES[name]
        rows = [(c.name, c.kind, _range(c.minimum, c.maximum), c.meaning) for c in spec.columns]
        listings.append(Listing(f"{name}: key {', '.join(spec.key)}", [head, *rows]))
    return Section("Data schemas", "The contract that every row was checked against.", (), listings)


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None and high is None else f"{low:g} … {high:g}"


def _target(card: Mapping[str, Any]) -> Section:
    sentences = (
        "The label is demand in units per store, item and day. It is computed; nobody labels it.",
        "On a day that did not sell out, demand is the units sold.",
        "On a sold-out day, demand is estimated: the expected value of at least the units sold.",
        f"{card['censored']:.1%} of the examined days sold out.",
    )
    return Section("Target", "How the label is made, also where sales were censored.", sentences)


def _pipeline(settings: Settings) -> Section:
    files = {stage: settings.build / name for stage, name in RESULTS.items()}
    rows = [("stage", "result", "bytes", "sha256")]
    rows += [
        (stage, path.name, f"{path.stat().st_size:,}", _digest(path.read_bytes()))
        for stage, path in files.items()
        if path.exists()
    ]
    lead = "The stages in their order, and the results they left for this version."
    return Section("Pipeline", lead, (), [Listing("Results of the stages", rows)])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _experiments(
    trials: Sequence[Tried], settings: Settings, decision: Mapping[str, Any]
) -> Section:
    passed = [c for c in decision["checks"] if c["passed"]]
    checks = "; ".join(f"{c['name']} {_value(c['value'])} ({c['bound']})" for c in passed)
    sentences = [
        f"The model is of kind {settings.model.kind}; its parameters are in the table below.",
        _search([trial for trial in trials if trial.params and "model.kind" not in trial.params]),
        f"Checks of the gate that it passed: {checks or 'none'}.",
    ]
    rows = [("run", "on", "cost", "WAPE", "parameters")]
    rows += [(t.name, t.on, f"{t.cost:.4f}", f"{t.wape:.4f}", _params(t.params)) for t in trials]
    parameters = settings.model.model_dump()
    tables = [
        Listing("Hyperparameters of this version", [("name", "value"), *parameters.items()]),
        Listing("Runs, newest first", rows),
    ]
    return Section("Experiments", "What was tried, and why this version won.", sentences, tables)


def _search(trials: Sequence[Tried]) -> str:
    if not trials:
        return "No search was run: the hyperparameters are those of the configuration."
    best = min(trials, key=lambda trial: trial.cost)
    return (
        f"A search ran {len(trials)} trials; the cheapest, at {best.cost:.4f} a series and day, "
        f"had {_params(best.params)}."
    )


def _params(params: Mapping[str, str]) -> str:
    return ", ".join(f"{name.removeprefix('model.')} {value}" for name, value in params.items())


def _examination(card: Mapping[str, Any], currency: str) -> Section:
    by_lead = card["models"][CHALLENGER]["by_lead"]
    leads = {lead: by_lead[lead] for lead in sorted(by_lead, key=int)}
    overall = {name: scores["overall"] for name, scores in card["models"].items()}
    return Section(
        "Examination",
        f"{len(card['origins'])} origins, {card['origins'][0]} … {card['origins'][-1]}, scored as "
        f"served; money in {currency}.",
        (),
        [
            Listing("All leads", [("model", *SCORES), *_rows(overall, SCORES)]),
            Listing("By lead, this version", [("lead", *SCORES[1:5]), *_rows(leads, SCORES[1:5])]),
        ],
    )


def _rows(parts: Mapping[str, Any], names: Sequence[str]) -> Iterator[Sequence[object]]:
    for name, scores in parts.items():
        yield name, *(_value(scores.get(score)) for score in names)


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"
    return "–" if value is None else str(value)


def _weak(card: Mapping[str, Any]) -> Section:
    scores = card["models"][CHALLENGER]
    listings = []
    for segment in SEGMENTS:
        worst = sorted(scores[segment].items(), key=lambda item: -(item[1]["wape"] or 0))[:WEAKEST]
        rows = [("segment", *SCORES[1:5]), *_rows(dict(worst), SCORES[1:5])]
        listings.append(Listing(f"Weakest {segment.replace('_', ' ')}", rows))
    lead = "The segments with the largest error. Check a forecast there before you act on it."
    return Section("Where it is weak", lead, (), listings)


def _gate(decision: Mapping[str, Any]) -> Section:
    rows = [("check", "value", "bound", "passed", "evidence")]
    rows += [
        (
            c["name"],
            _value(c["value"]),
            c["bound"],
            "yes" if c["passed"] else "no",
            c["reason"] or c["evidence"],
        )
        for c in decision["checks"]
    ]
    lead = f"The verdict: {decision['verdict']}."
    return Section("Gate", lead, (), [Listing("Every check", rows)])


def _environment(settings: Settings) -> Section:
    packages = {name: installed(name) for name in PACKAGES}
    rows: list[Sequence[object]] = [
        ("what", "version"),
        ("Python", platform.python_version()),
        ("system", platform.platform()),
        ("seed", settings.model.seed),
        *((name, number) for name, number in packages.items() if number),
    ]
    lead = "What it was trained with; requirements.lock of the commit pins the rest."
    return Section("Training environment", lead, (), [Listing("Versions and seeds", rows)])


def _lineage(version: Version, registry: Registry) -> Section:
    champion = registry.version("champion")
    rows: list[Sequence[object]] = [("what", "value"), ("version", version.number)]
    rows += [("run", version.run_id), ("registered", f"{version.created_at:%Y-%m-%d %H:%M} UTC")]
    rows += sorted(version.tags.items())
    rows.append(("champion when judged", champion.number if champion else "none"))
    return Section("Lineage", "What it was made from.", (), [Listing("Names and digests", rows)])


def _use(settings: Settings) -> Section:
    horizon = settings.forecast.horizon
    use = (
        f"Forecasts of {settings.product.name} for {settings.product.retailer}, per store, item "
        f"and day, {horizon} days ahead, with quantiles; orders follow from them and the costs."
    )
    return Section("Intended use and limits", "What it is for.", (use, *LIMITS))
