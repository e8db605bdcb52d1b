"""The documentation builds without a warning, loads nothing from elsewhere, and names what is."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from salescast.cli import command_line

ROOT = Path(__file__).parent.parent
PROSE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make docs` does: a warning is an error."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True)
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    return folder


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    """Reading the documentation tells nobody, and works on a train."""
    loads = re.compile(
        r"""<(?:script|img|iframe)[^>]*\ssrc="(?:https?:)?//|<link[^>]*href="(?:https?:)?//"""
    )
    pages = {path.name: path.read_text("utf-8") for path in site.rglob("*.html")}
    assert "index.html" in pages
    assert [name for name, text in pages.items() if loads.search(text)] == []


def test_each_page_of_the_code_is_on_the_site(site: Path) -> None:
    """Commands, tables and operations are described by what they are."""
    pages = {
        name: (site / f"reference/{name}.html").read_text() for name in ("cli", "tables", "http")
    }
    assert "salescast monitor" in pages["cli"]
    assert "weather_forecast" in pages["tables"]
    assert "/v1/forecasts/{store_id}/{item_id}" in pages["http"]


def test_each_page_is_in_the_navigation(site: Path) -> None:
    """A page that nobody can find was not written."""
    index = (site / "index.html").read_text("utf-8")
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    links = [str(p.with_suffix(".html")).replace("README.html", "index.html") for p in pages]
    assert [link for link in links if f'href="{link}"' not in index] == []


def _commands() -> Iterator[tuple[str, list[str]]]:
    """Yield page and words of each salescast command in a console block."""
    for path in PROSE:
        for block in re.findall(r"```console\n(.*?)```", path.read_text("utf-8"), re.DOTALL):
            for line in re.findall(r"^\$ (.*salescast .*)$", block, re.MULTILINE):
                words = shlex.split(line, comments=True)
                at = next((i for i, word in enumerate(words) if "=" not in word), 0)
                if words[at].endswith("salescast"):
                    yield path.name, words[at + 1 :]


@pytest.mark.parametrize(("page", "words"), [*_commands()], ids=str)
def test_each_command_of_the_prose_is_understood(page: str, words: list[str]) -> None:
    """Whoever copies a command gets no "no such option"."""
    group: Any = get_command(command_line())
    command = group.commands[words[0]]
    assert command.make_context(words[0], words[1:], resilient_parsing=False).params is not None


PATH = re.compile(
    r"`((?:\w[\w.-]*/)+[\w.-]*\.(?:py|md|toml|yaml|json|jinja)"
    r"|(?:src|api|flows|scripts|tests|docs|salescast)/[\w/]*)`"
)


def test_each_path_in_the_prose_exists() -> None:
    """A file that was renamed is renamed on the pages, too; what a run writes is left out."""
    paths = {(page.name, path) for page in PROSE for path in PATH.findall(page.read_text("utf-8"))}
    roots = [ROOT, ROOT / "src", ROOT / "src/salescast"]
    written = ("build/", "uk/")
    assert [
        (page, path)
        for page, path in sorted(paths)
        if not path.startswith(written) and not any((root / path).exists() for root in roots)
    ] == []
