"""Remove releases that no longer serve, and files that were set aside as damaged."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from salescast.ledger.ledger import Ledger
from salescast.release import read_trial
from salescast.settings import Settings
from salescast.stages.configured import open_releases


def prune(settings: Settings, keep: int, *, remove: bool = False) -> dict[str, Any]:
    """Return what goes where the last `keep` champions stay; it goes where `remove` is true.

    The champion, the previous one and a version on trial always stay. Rows of the ledger stay:
    receipts rest on them. A receipt of a removed release can be read, but not rebuilt.
    """
    paths = [*_old_releases(settings, keep), *_set_aside(settings)]
    size = sum(_size(path) for path in paths) / 1e6
    for path in paths if remove else ():
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    what = f"{len(paths)} {'file or folder' if len(paths) == 1 else 'files and folders'}"
    names = [str(path.relative_to(settings.root)) for path in paths]
    summary = (
        f"removed {what}, {size:,.1f} MB"
        if remove
        else "\n".join([*names, f"{what}, {size:,.1f} MB would go; --yes removes them"])
    )
    return {"paths": names, "removed": remove, "summary": summary}


def _old_releases(settings: Settings, keep: int) -> Iterator[Path]:
    with Ledger(settings.ledger_url) as ledger:
        changes = ledger.promotions()
    digests = list(dict.fromkeys(changes["digest"][::-1]))  # the newest first
    trial = read_trial(settings.releases)
    serving = {open_releases(settings).champion().digest} if digests else set()
    kept = {*digests[: max(keep, 2)], *serving, *([trial.digest] if trial else [])}
    old = {digest[:16] for digest in digests if digest not in kept}  # what was never promoted stays
    for folder in (settings.releases, settings.build / "serving"):
        yield from (path for path in sorted(folder.glob("*-*")) if path.name[-16:] in old)


def _set_aside(settings: Settings) -> Iterator[Path]:
    for folder in (settings.releases, settings.build / "serving"):
        yield from sorted(folder.glob(".damaged-*"))
    for folder in (settings.build / "spool" / "damaged", settings.build / "replaced"):
        yield from sorted(folder.glob("*"))


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
