"""Pages of the documentation that are made from code, so that they cannot be wrong.

MkDocs calls `on_config` and `on_files`; each function of PAGES returns the Markdown of one page.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File
from typer.main import get_command

from api.main import create_app
from salescast.cli import command_line
from salescast.contract.schema import TABLES
from salescast.settings import read_settings
from scripts import pictures

ROOT = Path(__file__).parent.parent


def cli() -> str:
    """Return a section per command: what it does, its arguments and options."""
    group: Any = get_command(command_line())
    lines = ["# Command line", "", "Made from the code: what `salescast COMMAND --help` says.", ""]
    for name, command in group.commands.items():
        lines += [f"## salescast {name}", "", str(command.help), ""]
        lines += [*_options(command), ""]
    return "\n".join(lines)


def _options(command: Any) -> Iterator[str]:
    yield from ("| option | default | meaning |", "|---|---|---|")
    for one in command.params:
        names = ", ".join(f"`{name}`" for name in [*one.opts, *one.secondary_opts])
        if one.param_type_name == "argument":
            names = f"`{one.name.upper()}`"
        default = "required" if one.required else f"`{one.default}`"
        default = "" if one.default is None and not one.required else default
        yield f"| {names} | {default} | {getattr(one, 'help', None) or ''} |"
    yield "| `--help` | | what this page says |"


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
            answers = operation["responses"].items()
            lines += [f"| {status} | {_cell(one['description'])} |" for status, one in answers]
            lines.append("")
    return "\n".join(lines)


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of this checkout's API."""
    document: dict[str, Any] = create_app(read_settings(ROOT / "config.toml")).openapi()
    return document


def _parameters(operation: Mapping[str, Any]) -> Iterator[str]:
    found = operation.get("parameters", [])
    if found:
        yield from ("| parameter | in | meaning |", "|---|---|---|")
    for one in found:
        needed = "" if one.get("required") else " (may be left out)"
        yield f"| `{one['name']}` | {one['in']} | {_cell(one.get('description', ''))}{needed} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES: Mapping[str, Callable[[], str]] = {
    "reference/cli.md": cli,
    "reference/tables.md": tables,
    "reference/http.md": http,
    "reference/pipeline.md": pictures.markdown,
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
    made = {name for name in PAGES if name.startswith(folder)}
    return sorted(written | made, key=lambda name: (not name.endswith("README.md"), name))


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to those MkDocs found."""
    os.environ.setdefault("NO_COLOR", "1")
    for name, make in PAGES.items():
        files.append(File.generated(config, name, content=make()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Keep the words of a link to a file that is in the repository, but not on the site."""
    folder = (Path(config.docs_dir) / page.file.src_uri).parent

    def kept(link: re.Match[str]) -> str:
        target = (folder / link[2]).resolve()
        on_site = target.is_relative_to(config.docs_dir) and not target.is_dir()
        return link[0] if on_site else link[1]

    return re.sub(r"\[([^\]]+)\]\((\.\./[^)#\s]+)\)", kept, markdown)
