"""Pages of the documentation that are made from code, so that they cannot be wrong.

MkDocs calls `on_config` and `on_files`; each function of PAGES returns the Markdown of one page.
`python -m scripts.docs` prints the page of the pipeline.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from mkdocs.structure.files import File
from typer import Context
from typer.cli import get_docs_for_click
from typer.main import get_command

from api.main import create_app
from salescast.cli import command_line
from salescast.contract.schema import TABLES
from salescast.settings import read_settings
from salescast.stages import STAGES

ROOT = Path(__file__).parent.parent


def cli() -> str:
    """Return what `salescast COMMAND --help` prints, a section per command."""
    command = get_command(command_line())
    return get_docs_for_click(obj=command, ctx=Context(command), name="salescast")


def tables() -> str:
    """Return a section per contract table: its key, when a row becomes known, its columns."""
    lines = [
        "# Tables",
        "",
        "The contract, made from `salescast/contract/schema.py`. Dates and moments are naive UTC.",
        "A row is identified by its key and the moment it became known; a correction is a new row.",
        "",
    ]
    for table in TABLES.values():
        optional = " May be missing." if table.optional else ""
        key = ", ".join(f"`{name}`" for name in table.key)
        lines += [f"## {table.name}", "", f"Key: {key}; known at `{table.known_at}`.{optional}", ""]
        lines += ["| column | kind | possible | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{c.name}` | {c.kind}{', may be empty' if c.nullable else ''} "
            f"| {_range(c.minimum, c.maximum)} | {c.meaning} |"
            for c in table.columns
        ]
        lines.append("")
    return "\n".join(lines)


def _range(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    return " … ".join("" if bound is None else f"{bound:,g}" for bound in (low, high))


def http() -> str:
    """Return a section per operation of the API: parameters and answers, from its OpenAPI."""
    lines = [
        "# HTTP",
        "",
        "Every operation, made from the OpenAPI document, which is served at `/openapi.json`.",
        "[API](api.md) says what the answers mean.",
        "",
    ]
    document = openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            lines += [f"## {method.upper()} {path}", "", operation.get("summary", ""), ""]
            lines += [operation.get("description", ""), "", *_parameters(operation), ""]
            lines += ["| status | answer |", "|---|---|"]
            lines += [
                f"| {status} | {_cell(response['description'])} |"
                for status, response in operation["responses"].items()
            ]
            lines.append("")
    return "\n".join(lines)


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of this checkout's API."""
    document: dict[str, Any] = create_app(read_settings(ROOT / "config.toml")).openapi()
    return document


def _parameters(operation: Mapping[str, Any]) -> Iterator[str]:
    parameters = operation.get("parameters", [])
    if parameters:
        yield from ("| parameter | in | meaning |", "|---|---|---|")
    for parameter in parameters:
        meaning = _cell(parameter.get("description", ""))
        optional = "" if parameter.get("required") else " (optional)"
        yield f"| `{parameter['name']}` | {parameter['in']} | {meaning}{optional} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def pipeline() -> str:
    """Return the page of the stages: a Mermaid graph, then what each does, reads and writes.

    Stages of dvc.yaml are joined by the files they hand over, all others by their order.
    """
    reproducible = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    outputs = {name: _outputs(stage) for name, stage in reproducible.items()}
    writer = {path: name for name, paths in outputs.items() for path in paths} | {"data": "version"}
    edges = [
        (writer[path], name)
        for name, stage in reproducible.items()
        for path in stage["deps"]
        if path in writer
    ]
    edges += [pair for pair in pairwise(STAGES) if pair[1] not in reproducible]
    rows = [
        f"| `{name}` | {(stage.__doc__ or '').splitlines()[0]} "
        f"| {_paths(reproducible.get(name, {}).get('deps', []))} "
        f"| {_paths(outputs.get(name, []))} |"
        for name, stage in STAGES.items()
    ]
    return "\n".join(
        [
            "# Pipeline",
            "",
            "The stages of the life cycle, made from `STAGES` and `dvc.yaml`. `dvc repro` runs",
            "those whose files are listed; all others work on stores: data, registry, ledger.",
            "",
            "```mermaid",
            "flowchart LR",
            *(f"    {start} --> {end}" for start, end in edges),
            "```",
            "",
            "| stage | what it does | reads | writes |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _outputs(stage: Mapping[str, Any]) -> list[str]:
    """Return the paths that a stage of dvc.yaml writes."""
    entries = [entry for key in ("outs", "metrics", "plots") for entry in stage.get(key, [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def _paths(paths: Sequence[str]) -> str:
    return ", ".join(f"`{path}`" for path in paths if not path.startswith("src/"))


PAGES: Mapping[str, Callable[[], str]] = {
    "reference/cli.md": cli,
    "reference/tables.md": tables,
    "reference/http.md": http,
    "reference/pipeline.md": pipeline,
}


def on_config(config: Any) -> Any:
    """Replace each `folder/*` of the navigation by the pages of that folder."""
    config.nav = [
        {title: _expanded(value) for title, value in entry.items()}
        if isinstance(entry, dict)
        else entry
        for entry in config.nav
    ]
    return config


def _expanded(value: Any) -> Any:
    if not isinstance(value, str) or not value.endswith("/*"):
        return value
    folder = value.removesuffix("*")
    written = {f"{folder}{path.name}" for path in (ROOT / "docs" / folder).glob("*.md")}
    generated = {name for name in PAGES if name.startswith(folder)}
    return sorted(written | generated, key=lambda name: (not name.endswith("README.md"), name))


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to those MkDocs found."""
    os.environ.setdefault("NO_COLOR", "1")
    for name, make in PAGES.items():
        files.append(File.generated(config, name, content=make()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Turn links to files that are in the repository, but not on the site, into plain text."""
    folder = (Path(config.docs_dir) / page.file.src_uri).parent

    def plain_text(link: re.Match[str]) -> str:
        target = (folder / link[2]).resolve()
        on_site = target.is_relative_to(config.docs_dir) and not target.is_dir()
        return link[0] if on_site else link[1]

    return re.sub(r"\[([^\]]+)\]\((\.\./[^)#\s]+)\)", plain_text, markdown)


if __name__ == "__main__":
    print(pipeline())
