"""Pages of the documentation that are made from code, so that they cannot be wrong.

MkDocs calls `on_config` and `on_files`; each function of PAGES returns the Markdown of one page.
`python -m scripts.docs` prints the page of the pipeline.
"""

import os
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader
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
    return _render("tables.md.jinja", tables=TABLES.values())


def http() -> str:
    """Return a section per operation of the API: parameters and answers, from its OpenAPI."""
    return _render("http.md.jinja", paths=openapi()["paths"])


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of this checkout's API."""
    document: dict[str, Any] = create_app(read_settings(ROOT / "config.toml")).openapi()
    return document


def pipeline() -> str:
    """Return the page of the stages: a Mermaid graph, then what each does, reads and writes.

    Stages of dvc.yaml are joined by the files they hand over, all others by their order.
    """
    reproducible = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    inputs = {
        name: [path for path in stage["deps"] if not path.startswith("src/")]
        for name, stage in reproducible.items()
    }
    outputs = {name: _outputs(stage) for name, stage in reproducible.items()}
    writer = {path: name for name, paths in outputs.items() for path in paths} | {"data": "version"}
    edges = [
        (writer[path], name) for name, paths in inputs.items() for path in paths if path in writer
    ]
    edges += [pair for pair in pairwise(STAGES) if pair[1] not in reproducible]
    stages = [
        (name, (stage.__doc__ or "").splitlines()[0], inputs.get(name, []), outputs.get(name, []))
        for name, stage in STAGES.items()
    ]
    return _render("pipeline.md.jinja", edges=edges, stages=stages)


def _outputs(stage: Mapping[str, Any]) -> list[str]:
    """Return the paths that a stage of dvc.yaml writes."""
    entries = [entry for key in ("outs", "metrics", "plots") for entry in stage.get(key, [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def _render(name: str, **values: object) -> str:
    templates = FileSystemLoader(Path(__file__).with_name("templates"))
    environment = Environment(  # noqa: S701 - Markdown from our own code
        loader=templates, trim_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {
        "cell": lambda text: " ".join((text or "").split()).replace("|", "\\|"),
        "bound": lambda bound: "" if bound is None else f"{bound:,g}",
        "code": lambda paths: ", ".join(f"`{path}`" for path in paths),
    }
    return environment.get_template(name).render(**values)


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
