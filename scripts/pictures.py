"""The pipeline as a picture and a catalogue, read from the code: STAGES, dvc.yaml, the contract.

What a stage reads and writes is seen in its source: calls that begin with read_ or write_ and
name a file, and calls of the stores. `python -m scripts.pictures` writes build/pipeline.html.
"""

import ast
import importlib
import inspect
import pkgutil
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from salescast import stages as stages_package
from salescast.contract.schema import TABLES
from salescast.reports.graph import draw
from salescast.reports.html import page, section, table
from salescast.stages import STAGES

ROOT = Path(__file__).parent.parent
MODULES = [
    importlib.import_module(f"salescast.stages.{one.name}")
    for one in pkgutil.iter_modules(stages_package.__path__)
]
FILE = re.compile(r"[\w/]+\.(?:json|parquet|html|skops|csv)|data_docs|quarantine|plots")
STORES = {  # call → (what, read or written)
    "Releases.read": ("the releases", "reads"),
    "releases.read": ("the releases", "reads"),
    "Releases.write": ("the releases", "writes"),
    "Releases.publish": ("the releases", "writes"),
    "Releases.point": ("the releases", "writes"),
    "releases.publish": ("the releases", "writes"),
    "releases.point": ("the releases", "writes"),
    "open_feed": ("the feed", "reads"),
    "store.read_all": ("data/", "reads"),
    "store.append": ("data/", "writes"),
    "store.commit": ("data/", "reads"),
    "store.commit_version": ("data.dvc", "writes"),
    "ledger.record": ("the ledger", "writes"),
    "ledger.": ("the ledger", "reads"),
    "registry.version": ("the registry", "reads"),
    "registry.model": ("the registry", "reads"),
    "registry.artifact": ("the registry", "reads"),
    "registry.promote": ("the registry", "writes"),
    "registry.tag": ("the registry", "writes"),
    "registry.log": ("the registry", "writes"),
    "open_registry.log": ("the registry", "writes"),
    "open_registry.version": ("the registry", "reads"),
}
WRAP = "<style>td,th{white-space:normal!important;text-align:left!important}</style>"
# What leads to the box that is pressed, and what follows from it, is lit.
SCRIPT = """<script>
document.querySelectorAll("svg.graph").forEach(svg => {
  const boxes = [...svg.querySelectorAll(".box")], arrows = [...svg.querySelectorAll(".arrow")];
  const reach = (name, a, b) => { const seen = new Set([name]); let grew = true;
    while (grew) { grew = false; arrows.forEach(x => { if (seen.has(x.dataset[a]) &&
      !seen.has(x.dataset[b])) { seen.add(x.dataset[b]); grew = true; } }); } return seen; };
  const show = name => { const on = name ? new Set([...reach(name, "from", "to"),
      ...reach(name, "to", "from")]) : null;
    boxes.forEach(x => x.classList.toggle("dim", !!on && !on.has(x.dataset.name)));
    arrows.forEach(x => { const lit = !!on && on.has(x.dataset.from) && on.has(x.dataset.to);
      x.classList.toggle("lit", lit); x.classList.toggle("dim", !!on && !lit); }); };
  let kept = null;
  boxes.forEach(x => { const name = x.dataset.name;
    x.addEventListener("mouseenter", () => kept || show(name));
    x.addEventListener("mouseleave", () => kept || show(null));
    const press = () => { kept = kept === name ? null : name; show(kept); };
    x.addEventListener("click", press);
    x.addEventListener("keydown", e => e.key === "Enter" && press()); });
});
</script>"""


@dataclass
class Touched:
    """What a stage reads and writes."""

    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)


def touched() -> dict[str, Touched]:
    """Return stage → what it reads and writes, as its source and dvc.yaml say."""
    found = {name: _touched(function) for name, function in STAGES.items()}
    for name, stage in _dvc().items():
        found[name].reads |= {
            f"{d}/" if d == "data" else d for d in stage["deps"] if "src/" not in d
        }
        found[name].writes |= {out for kind in ("outs", "metrics") for out in _named(stage, kind)}
    return found


def _dvc() -> dict[str, Any]:
    stages: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    return stages


def _named(stage: Mapping[str, Any], kind: str) -> list[str]:
    return [out if isinstance(out, str) else next(iter(out)) for out in stage.get(kind, [])]


def _touched(function: Any) -> Touched:
    result, done = Touched(), set()
    open_ = [(inspect.getmodule(function), function.__name__)]
    while open_:
        module, name = open_.pop()
        if (module, name) in done:
            continue
        done.add((module, name))
        for call in _calls(module, name):
            _take(result, module, call)
            open_ += _followed(module, call)
    return result


def _calls(module: Any, name: str) -> Iterator[ast.Call]:
    source = ast.parse(inspect.getsource(getattr(module, name)))
    return (node for node in ast.walk(source) if isinstance(node, ast.Call))


def _followed(module: Any, call: ast.Call) -> list[tuple[ModuleType, str]]:
    """Return the function of ours that is called: of this module, or a public one of another."""
    name = _name(call)
    known = getattr(module, name, None) if name.isidentifier() else None
    home = inspect.getmodule(known)
    ours = inspect.isfunction(known) and home in MODULES
    return [(home, known.__name__)] if ours and home and known else []


def _name(call: ast.Call) -> str:
    """Return the dotted name of what is called; a call in front counts as the name called."""
    parts, node = [], call.func
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value.func if isinstance(node.value, ast.Call) else node.value
    return ".".join([node.id if isinstance(node, ast.Name) else "", *reversed(parts)])


def _take(result: Touched, module: Any, call: ast.Call) -> None:
    name = _name(call)
    for begin, (what, way) in STORES.items():
        if name.startswith(begin) and not (begin == "ledger." and name.startswith("ledger.record")):
            getattr(result, way).add(what)
    verb = name.rpartition(".")[2]
    way = "writes" if verb.startswith(("write_", "replace")) else "reads"
    if verb.startswith(("write_", "read_", "replace", "present")) or verb == "Candidate":
        getattr(result, way).update(f"build/{name}" for name in _files(module, call))


def _files(module: Any, call: ast.Call) -> Iterator[str]:
    for node in ast.walk(call):
        values = (node.value,) if isinstance(node, ast.Constant) else ()
        if isinstance(node, ast.Name) and isinstance(getattr(module, node.id, None), tuple):
            values = getattr(module, node.id)  # a constant of the module: a list of names
        yield from (v for v in values if isinstance(v, str) and FILE.fullmatch(v))


def edges(stages: Mapping[str, Touched]) -> dict[tuple[str, str], list[str]]:
    """Return (earlier, later) → what the later one reads that the earlier one wrote."""
    names = list(stages)
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for at, later in enumerate(names):
        for thing in sorted(stages[later].reads):
            writers = [name for name in names[:at] if thing in stages[name].writes]
            if writers:
                found[writers[-1], later].append(thing)
    return dict(found)


def picture() -> str:
    """Return the drawing of all stages, what each does and hands over."""
    stages = touched()
    notes = {
        name: f"{(STAGES[name].__doc__ or '').splitlines()[0]} Reads {_list(one.reads)}; "
        f"writes {_list(one.writes)}."
        for name, one in stages.items()
    }
    return draw(list(stages), edges(stages), notes, "the stages and what they hand over")


def _list(things: set[str]) -> str:
    return ", ".join(sorted(things)) or "nothing"


def catalogue() -> list[tuple[str, str, str, str]]:
    """Return (thing, written by, read by, how it is kept) of everything the stages touch."""
    stages, kept = touched(), _kept()
    things = sorted({thing for one in stages.values() for thing in one.reads | one.writes})
    return [
        (
            thing,
            _list({name for name, one in stages.items() if thing in one.writes} or {"outside"}),
            _list({name for name, one in stages.items() if thing in one.reads}),
            kept.get(thing, "made anew by each run" if thing.startswith("build/") else "a store"),
        )
        for thing in things
    ]


def _kept() -> dict[str, str]:
    kept = {"data/": "versioned by DVC (data.dvc)", "data.dvc": "in git"}
    for stage in _dvc().values():
        for kind in ("outs", "metrics", "plots"):
            for out in stage.get(kind, []):
                name, options = (out, {}) if isinstance(out, str) else next(iter(out.items()))
                cached = options.get("cache", True)
                kept[name] = f"DVC {kind}" + ("" if cached else ", made anew when asked for")
    return kept


def markdown() -> str:
    """Return the page of the documentation: the picture, then the catalogue."""
    rows = "\n".join(f"| `{a}` | {b} | {c} | {d} |" for a, b, c, d in catalogue())
    steps = "\n".join(
        f"| `{name}` | {(f.__doc__ or '').splitlines()[0]} |" for name, f in STAGES.items()
    )
    return (
        "# Pipeline and data catalogue\n\nMade from `STAGES`, `dvc.yaml` and the code of the "
        "stages. Point at a stage to see what it reads and writes; press it to keep its lineage "
        f"lit.\n\n<div>{picture()}</div>\n{SCRIPT}\n\n## Stages\n\n| stage | what it does |\n"
        f"|---|---|\n{steps}\n\n## Data catalogue\n\n| what | written by | read by | kept |\n"
        f"|---|---|---|---|\n{rows}\n\nThe columns of the contract tables in `data/` are under "
        "[Tables](tables.md).\n"
    )


def html() -> str:
    """Return a page of its own, which loads nothing."""
    contract = [
        (
            name,
            ", ".join(one.key),
            one.known_at,
            f"{len(one.columns)}",
            "yes" if one.optional else "",
        )
        for name, one in TABLES.items()
    ]
    head = ("table", "key", "known at", "columns", "may be missing")
    columns = ("what", "written by", "read by", "kept")
    told = table("What each stage leaves, and who needs it.", columns, catalogue())
    lead = "Point at a stage to see what it reads and writes; press it to keep its lineage lit."
    return page(
        "Pipeline and data catalogue",
        "Made from STAGES, dvc.yaml, the code of the stages and the contract.",
        [
            section("Pipeline", lead, f"<figure>{picture()}</figure>{SCRIPT}{WRAP}"),
            section("Data catalogue", "Files, stores and who touches them.", told),
            section("Contract tables", "What lies in data/.", table("The keys.", head, contract)),
        ],
    )


def main() -> None:
    """Write build/pipeline.html."""
    path = ROOT / "build" / "pipeline.html"
    path.parent.mkdir(exist_ok=True)
    path.write_text(html(), encoding="utf-8")
    print(f"Written: {escape(str(path.relative_to(ROOT)))}")


if __name__ == "__main__":
    main()
