"""Pages a person reads: what forecasts are worth, and how they fare live.

The one user of Matplotlib. A page is one file without scripts that loads nothing; the same
input makes the same bytes.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from salescast.errors import StoreUnavailableError
from salescast.report.dossier import Listing, Section, as_html, as_markdown
from salescast.report.graph import draw
from salescast.report.monitoring import monitoring_page
from salescast.report.replay import replay_page
from salescast.report.scorecard import scorecard_page

__all__ = [
    "Listing",
    "Section",
    "draw",
    "write_dossier",
    "write_monitoring",
    "write_replay",
    "write_scorecard",
]


def write_scorecard(card: Mapping[str, object], path: Path, currency: str) -> Path:
    """Write the page of a `backtest.scorecard`, money first, and return its path.

    Raises StoreUnavailableError when it cannot be written; an older page stays.
    """
    return _replace(path, scorecard_page(card, currency))


def write_monitoring(summary: Mapping[str, object], scored: pd.DataFrame, path: Path) -> Path:
    """Write the page of a monitoring summary and return its path.

    `summary`: origin, live (`monitoring.live_scorecard`), drift, alarms, and drift_threshold
    where there is one; `scored`: the live rows of `backtest.outcomes`.
    Raises StoreUnavailableError when it cannot be written; an older page stays.
    """
    return _replace(path, monitoring_page(summary, scored))


def write_dossier(path: Path, title: str, lead: str, parts: Sequence[Section]) -> Path:
    """Write the record as `path` (HTML) and, beside it, as Markdown; return its path.

    Raises StoreUnavailableError when it cannot be written; an older record stays.
    """
    _replace(path.with_suffix(".md"), as_markdown(title, lead, parts))
    return _replace(path, as_html(title, lead, parts))


def write_replay(told: Mapping[str, Any], path: Path) -> Path:
    """Write the page of a replay's accounts and return its path.

    Raises StoreUnavailableError when it cannot be written; an older page stays.
    """
    return _replace(path, replay_page(told))


def _replace(path: Path, text: str) -> Path:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreUnavailableError(f"cannot write {path.name}: {error.strerror}") from error
    return path
