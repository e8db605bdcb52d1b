"""A record says the same as Markdown and as a page, and nothing in a value becomes markup."""

import pytest

from salescast.reports.dossier_page import Listing, Section, as_html, as_markdown

NASTY = "a|b <script>alert(1)</script> [x](http://y) `c` *d*"
RECORD = [Section("Gate", "lead", [NASTY], [Listing("checks", [("name",), (NASTY,)])], "x = ```")]


def test_nothing_in_a_value_becomes_markup() -> None:
    """A name somebody chose can neither run, link, nor break its row."""
    told = as_markdown("t", "l", RECORD)
    rows = [line for line in told.splitlines() if line.startswith("|")]
    assert "<script>" not in told.replace("\\<", "")
    assert len(rows) == 3
    assert "<script>" not in as_html("t", "l", RECORD)


def test_code_does_not_end_its_block() -> None:
    """What is quoted stays quoted."""
    assert as_markdown("t", "l", RECORD).count("```") == 2


@pytest.mark.parametrize(
    ("part", "empty"),
    [
        (Section("t", "lead"), True),
        (Section("t", "lead", tables=[Listing("c", [("head",)])]), True),
        (Section("t", "lead", tables=[Listing("c", [("head",), ("row",)])]), False),
        (Section("t", "lead", ["words"]), False),
        (Section("t", "lead", code="x"), False),
    ],
)
def test_a_section_without_content_is_empty(part: Section, *, empty: bool) -> None:
    """A heading and the head of a table are not content."""
    assert part.empty is empty
