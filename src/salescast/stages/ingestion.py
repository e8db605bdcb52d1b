"""From a feed to versioned, validated tables."""

import os
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from salescast import quality
from salescast.contract.schema import Tables, close_of, last_day, last_updates
from salescast.data import store, versions
from salescast.data.delivery import Feed, NewRows, new_rows
from salescast.data.feeds import open_feed
from salescast.data.files import write_json
from salescast.errors import ConfigError, DataQualityError, StoreUnavailableError
from salescast.settings import Settings, read_settings

FILES_VARIABLE = "SALESCAST_FEED__FILES__FOLDER"


def ingest(
    settings: Settings,
    until: date | None = None,
    feed: Feed | None = None,
    *,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Fetch what became known since the last time, check it, and append what is accepted.

    Every delivered row is stored, stored already, quarantined, or named as left out.

    `until`: the last day to deliver; default: today, or the next simulated day. `feed`: a replay's,
    in place of the configured one. `dry_run`: say what would be stored, and write nothing.
    Raises DataQualityError when the delivery is rejected: it is quarantined, nothing is written.
    """
    versions.require_files(settings.root)
    stored = store.read_all(settings.data)
    day = until or datetime.now(UTC).date()
    # simulated: from here
    if until is None and settings.feed.kind == "godatamarkets":
        day = _next_simulated_day(settings, stored)
    # simulated: to here
    moment, since = close_of(day), _known_since(stored)
    if since is not None and moment <= since:
        return _too_early(day, since)
    delivery = (feed or open_feed(settings.feed, settings.root))(since, moment)
    news = new_rows(delivery, stored, (since, moment), pd.Timestamp.now("UTC").tz_localize(None))
    folder = None if dry_run else settings.build
    rules = quality.adjusted(settings.quality.checks)
    verdict = quality.check_delivery(news.tables, stored, moment, folder, rules)
    if verdict.status == "rejected":
        raise DataQualityError(
            f"delivery up to {day} rejected{_kept(folder)}: {verdict.reasons('critical')}"
        )
    accepted = {name: len(rows) for name, rows in verdict.accepted.items()}
    written = accepted if dry_run else store.append(settings.data, verdict.accepted)
    return _account(delivery, news, verdict, written) | {"dry_run": dry_run}


def _too_early(day: date, since: pd.Timestamp) -> dict[str, Any]:
    """Return what is said where everything up to `day` is known already."""
    summary = (
        f"nothing new up to {day:%Y-%m-%d}; the data are known up to {since:%Y-%m-%d} already, and "
        "what comes later needs a later --until"
    )
    return {"until": f"{day:%Y-%m-%d}", "rows": {}, "quarantined": 0, "summary": summary}


def _kept(folder: Path | None) -> str:
    return f", kept in {folder / 'quarantine'}" if folder else ""


def _account(
    delivery: Tables, news: NewRows, verdict: quality.Verdict, written: dict[str, int]
) -> dict[str, Any]:
    """Return what became of every delivered row, in numbers and in a sentence."""
    delivered = sum(map(len, delivery.values()))
    new, bad = sum(written.values()), sum(map(len, verdict.quarantined.values()))
    waiting, left_out = sum(news.waiting.values()), getattr(delivery, "left_out", ())
    stored_already = delivered - new - bad - waiting
    day = verdict.as_dict()["until"]
    parts = [f"{new:,} new rows up to {day}" if new or bad else f"nothing new up to {day}"]
    parts += [f"{stored_already:,} stored already"] if stored_already else []
    parts += [f"{bad:,} quarantined"]
    parts += [f"{waiting:,} of days that are not over"] if waiting else []
    parts += [f"{len(left_out)} files not read"] if left_out else []
    warnings = [f"{c.table}: {c.name}: {c.evidence}" for c in verdict.failed]
    return {
        "until": day,
        "rows": written,
        "delivered": {name: len(rows) for name, rows in delivery.items()},
        "stored_already": stored_already,
        "waiting": news.waiting,
        "quarantined": bad,
        "left_out": list(left_out),
        "warnings": warnings,
        "quality": verdict.as_dict(),
        "rows_read": dict(getattr(delivery, "rows_read", {})),
        "summary": "\n  ".join([", ".join(parts), *left_out, *warnings]),
    }


def _known_since(stored: Tables) -> pd.Timestamp | None:
    known = last_updates(stored)
    return min(known) if known else None


# simulated: from here
def _next_simulated_day(settings: Settings, stored: Tables) -> date:
    start = settings.feed.godatamarkets.embedded_until
    return start if stored["sales"].empty else last_day(stored).date() + timedelta(days=1)


# simulated: to here
def rehearsal(settings: Settings) -> tuple[date, date]:
    """Return the days a life cycle runs from and to, one horizon apart.

    A forecast made at the first has its outcomes at the second. The simulated retailer goes on
    from what is stored; any other feed ends with its newest day.
    """
    horizon = pd.Timedelta(days=settings.forecast.horizon)
    # simulated: from here
    if settings.feed.kind == "godatamarkets":
        stored = store.read_all(settings.data)
        start = settings.feed.godatamarkets.embedded_until
        start = start if stored["sales"].empty else last_day(stored).date()
        return start, (pd.Timestamp(start) + horizon).date()
    # simulated: to here
    now = close_of(datetime.now(UTC).date())
    delivery = open_feed(settings.feed, settings.root)(None, now)
    end: date = last_day(new_rows(delivery, {}, (None, now), now).tables).date()
    return end - horizon.to_pytimedelta(), end


def version(settings: Settings) -> dict[str, Any]:
    """Pin `data/` with DVC, where the workspace has DVC, and return the data version.

    Raises DataQualityError where a file of the version before is missing.
    """
    versions.require_files(settings.root, appended=True)
    pinned = versions.commit_version(settings.root)
    files = versions.listed_files(settings.data)
    write_json(settings.build / "version.json", {"data_version": pinned, "files": files})
    return {"data_version": pinned, "summary": f"data version {pinned}"}


def validate(settings: Settings) -> dict[str, Any]:
    """Check everything stored and write the verdict and the Data Docs.

    Raises DataQualityError when the stored data must not be learned from.
    """
    tables = store.read_all(settings.data)
    rules = quality.adjusted(settings.quality.checks)
    verdict = quality.check_stored(tables, close_of(last_day(tables)), settings.build, rules)
    docs = settings.build / "data_docs" / "index.html"
    failed = verdict.failed
    if verdict.status == "rejected":
        raise DataQualityError(
            f"the stored data must not be learned from: {verdict.reasons()}; see {docs}"
        )
    return {
        "status": verdict.status,
        "rows": verdict.rows_checked,
        "data_docs": str(docs),
        "warnings": [f"{c.table}: {c.name}: {c.evidence}" for c in failed],
        "summary": f"{verdict.rows_checked:,} rows, {len(verdict.checks)} checks, "
        f"{len(failed)} failed: {verdict.status.replace('_', ' ')}",
    }


def open_workspace(settings: Settings, folder: Path) -> Settings:
    """Return the settings of `folder`, made afresh as a copy; `.` is the workspace itself.

    Pulls the pinned data first where the checkout has none yet.
    """
    if not settings.data.exists() and (settings.root / "data.dvc").exists():
        versions.pull(settings.root)
    target = (settings.root / folder).resolve()
    if target == settings.root:
        return settings
    versions.init_workspace(target, settings.root)
    if settings.feed.kind == "files":  # the copy takes its rows from where the original does
        os.environ[FILES_VARIABLE] = str(settings.root / settings.feed.files.folder)
    return read_settings(target / "config.toml")


def commit_data(settings: Settings, message: str) -> None:
    """Commit the moved `data.dvc`, and nothing else, to git; do nothing where it has not moved.

    Raises StoreUnavailableError with git's reason where git refuses.
    """
    if not (settings.root / "data.dvc").exists():
        raise ConfigError(f"{settings.root} has no data.dvc to commit; run `dvc init` and ingest")
    _git(settings.root, "add", "data.dvc")
    if _git(settings.root, "status", "--porcelain", "--", "data.dvc"):
        options = ("--quiet", "--message", f"Ingest: {message}", "--", "data.dvc")
        _git(settings.root, "commit", *options)


def _git(root: Path, *arguments: str) -> str:
    try:
        command = ["git", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        raise StoreUnavailableError("git is not installed; commit data.dvc yourself") from None
    if done.returncode:
        reason = " ".join((done.stderr or done.stdout).split())
        raise StoreUnavailableError(f"git {arguments[0]} in {root}: {reason}")
    return done.stdout
