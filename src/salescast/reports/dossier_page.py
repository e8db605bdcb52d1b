"""A record of sections, as Markdown and as a page: the same words and numbers in both."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from salescast.reports.html import page, section, table

Cells = Sequence[Sequence[object]]


@dataclass(frozen=True)
class Listing:
    """A table: the first row is its head."""

    caption: str
    rows: Cells


@dataclass(frozen=True)
class Section:
    """A titled part. `code` is shown as it is, `drawing` is an SVG and stays out of Markdown."""

    title: str
    lead: str
    words: Sequence[str] = ()
    tables: Sequence[Listing] = ()
    code: str = ""
    drawing: str = ""

    @property
    def empty(self) -> bool:
        """True where a title and its lead are all there is."""
        return not (self.words or self.code or any(len(one.rows) > 1 for one in self.tables))


def as_markdown(title: str, lead: str, sections: Sequence[Section]) -> str:
    """Return the record as Markdown; nothing in a value can become markup."""
    return "\n".join([f"# {_plain(title)}", "", _plain(lead), "", *map(_as_markdown, sections)])


def _as_markdown(one: Section) -> str:
    lines = [f"## {_plain(one.title)}", "", _plain(one.lead), ""]
    lines += [line for words in one.words for line in (f"- {_plain(words)}",)]
    lines += ["", "```text", one.code.replace("```", "'''"), "```"] if one.code else []
    for listing in one.tables:
        head, *rows = [[_plain(str(cell)) for cell in row] for row in listing.rows]
        lines += ["", f"{_plain(listing.caption)}", "", _line(head), _line(["---"] * len(head))]
        lines += map(_line, rows)
    return "\n".join([*lines, ""])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    # A cell must neither end its row nor begin a tag, a link or an emphasis.
    for mark in "\\|<>[]*`":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def as_html(title: str, lead: str, sections: Sequence[Section]) -> str:
    """Return the record as a page that loads nothing."""
    return page(title, lead, map(_as_html, sections))


def _as_html(one: Section) -> str:
    items = "".join(f"<li>{escape(words)}</li>" for words in one.words)
    parts = [f"<ul>{items}</ul>" if items else "", one.drawing]
    parts += [f"<pre>{escape(one.code)}</pre>"] if one.code else []
    for listing in one.tables:
        head, *rows = [[str(cell) for cell in row] for row in listing.rows]
        parts.append(table(listing.caption, head, rows))
    return section(one.title, one.lead, "\n".join(parts))
