"""HTML pages from templates: what forecasts are worth, how they fare live, a version's dossier.

The one user of Matplotlib and Jinja2. A page is one file without scripts that loads nothing; the
same input makes the same bytes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from salescast.data.files import replace_text
from salescast.reports.pages import Listing, Section, dossier_text, monitoring_page, scorecard_page

__all__ = ["Listing", "Section", "write_dossier", "write_monitoring", "write_scorecard"]


def write_scorecard(card: Mapping[str, object], path: Path, currency: str) -> Path:
    """Write the page of a `backtest.scorecard`, money first, and return its path.

    Raises StoreUnavailableError when it cannot be written; an older page stays.
    """
    return replace_text(path, scorecard_page(card, currency))


def write_monitoring(summary: Mapping[str, object], scored: pd.DataFrame, path: Path) -> Path:
    """Write the page of a monitoring summary and return its path.

    `summary`: origin, live (`monitoring.live_scorecard`), drift, alarms, and drift_threshold
    where there is one; `scored`: the live rows of `backtest.outcomes`.
    Raises StoreUnavailableError when it cannot be written; an older page stays.
    """
    return replace_text(path, monitoring_page(summary, scored))


def write_dossier(path: Path, title: str, lead: str, sections: Sequence[Section]) -> Path:
    """Write a dossier as Markdown and as the HTML page `path`; return `path`.

    Raises StoreUnavailableError when it cannot be written; an older dossier stays.
    """
    replace_text(path.with_suffix(".md"), dossier_text("dossier.md", title, lead, sections))
    return replace_text(path, dossier_text("dossier.html", title, lead, sections))
