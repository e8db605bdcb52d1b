"""A dossier says the same as Markdown and as a page, and nothing in a value becomes markup."""

import re

import pytest

from salescast.reports.pages import Listing, Section, dossier_text

NASTY = "a|b <script>alert(1)</script> [x](http://y) `c` *d*"
DOSSIER = [Section("Gate", "lead", [NASTY], [Listing("checks", [("name",), (NASTY,)])])]


def test_nothing_in_a_value_becomes_markdown() -> None:
    """A name somebody chose can neither run, link, nor break its row."""
    text = dossier_text("dossier.md", "t", "l", DOSSIER)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert "<script>" not in text.replace("\\<", "")
    assert len(rows) == 3


def test_nothing_in_a_value_becomes_html() -> None:
    """The same name is text on the page."""
    assert "<script>" not in dossier_text("dossier.html", "t", "l", DOSSIER)


def test_a_table_in_markdown_is_one_block() -> None:
    """Head, rule and rows follow each other without an empty line, as Markdown needs them."""
    listing = Listing("checks", [("name", "value"), ("wape", 0.5), ("bias", 0.1)])
    text = dossier_text("dossier.md", "t", "l", [Section("Gate", "lead", tables=[listing])])
    assert "\n\n| name | value |\n| --- | --- |\n| wape | 0.5 |\n| bias | 0.1 |\n" in text


def test_both_have_the_same_sections() -> None:
    """A reader of the Markdown misses nothing."""
    sections = [*DOSSIER, Section("Lineage", "lead", ["made from it"])]
    markdown = dossier_text("dossier.md", "t", "l", sections)
    page = dossier_text("dossier.html", "t", "l", sections)
    titles = re.findall("^## (.*)$", markdown, re.MULTILINE)
    assert titles == re.findall("<h2>(.*?)</h2>", page) == ["Gate", "Lineage"]


@pytest.mark.parametrize(
    ("section", "empty"),
    [
        (Section("t", "lead"), True),
        (Section("t", "lead", tables=[Listing("c", [("head",)])]), True),
        (Section("t", "lead", tables=[Listing("c", [("head",), ("row",)])]), False),
        (Section("t", "lead", ["words"]), False),
    ],
)
def test_a_section_without_content_is_empty(section: Section, *, empty: bool) -> None:
    """A heading and the head of a table are not content."""
    assert section.empty is empty
