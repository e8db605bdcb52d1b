"""A dossier as Markdown and as a page: the same words and numbers in both."""

from collections.abc import Sequence
from dataclasses import dataclass

from salescast.reports.rendering import TEMPLATES, render


@dataclass(frozen=True)
class Listing:
    """A table with a caption; its first row is the head."""

    caption: str
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Section:
    """A titled part of a dossier: a lead, then a list of sentences, then tables."""

    title: str
    lead: str
    sentences: Sequence[str] = ()
    tables: Sequence[Listing] = ()

    @property
    def empty(self) -> bool:
        """True where the section has a title and a lead only."""
        return not (self.sentences or any(len(table.rows) > 1 for table in self.tables))


def dossier_text(template: str, title: str, lead: str, sections: Sequence[Section]) -> str:
    """Return the dossier; `template`: dossier.html or dossier.md."""
    return render(TEMPLATES / template, title=title, lead=lead, sections=sections)
