"""Whether ledger, releases, registry and data agree with each other, row by row."""

from salescast.data import versions
from salescast.doctor.machine import Finding
from salescast.errors import NoChampionError, SalescastError
from salescast.ledger.ledger import Ledger
from salescast.release import Release
from salescast.release.issuing import altered_receipts
from salescast.settings import Settings
from salescast.stages.configured import open_registry, open_releases, open_spool

RESTORE = "restore a backup: salescast restore SRC"
PROMOTE = "salescast promote {} publishes it again from the registry"


def receipts(settings: Settings) -> Finding:
    """Check that each forecast in the ledger is the one that its receipt was given for."""
    altered: list[str] = []
    count = 0
    with Ledger(settings.ledger_url) as ledger:
        for origin in ledger.origins():
            forecasts = ledger.forecasts(origin=origin)
            count += forecasts["receipt_id"].nunique()
            altered += altered_receipts(forecasts)
    if altered:
        names = ", ".join(altered[:3])
        return Finding(f"{len(altered)} of {count:,} receipts were changed: {names}", RESTORE)
    return Finding(f"the forecasts of {count:,} receipts are as they were served")


def orders(settings: Settings) -> Finding:
    """Check that each order rests on a forecast that the ledger has."""
    with Ledger(settings.ledger_url) as ledger:
        missing = ledger.orders_without_forecast()
        waiting = len(open_spool(settings).waiting)
    if missing and not waiting:
        names = ", ".join(missing[:3])
        return Finding(f"{len(missing)} orders rest on forecasts that are gone: {names}", RESTORE)
    return Finding(f"every order rests on a forecast; {waiting} files wait for the ledger")


def releases(settings: Settings) -> Finding:
    """Check that every release of the journal that is still there is undamaged, and the last is."""
    with Ledger(settings.ledger_url) as ledger:
        journal = ledger.promotions()
    if journal.empty:
        return Finding("nothing was promoted")
    folder, broken, pruned = open_releases(settings), [], 0
    last = str(journal["digest"].iloc[-1])
    changes = journal[["model_version", "digest"]].drop_duplicates()
    for version, digest in changes.itertuples(index=False):
        release = Release(0, version, digest)
        gone = not (settings.releases / release.folder).exists()
        pruned += gone and digest != last
        if not folder.intact(release) and (digest == last or not gone):
            broken.append(version)
    if broken:
        fix = "; ".join(PROMOTE.format(version) for version in broken)
        return Finding(f"damaged or missing: the release of version {', '.join(broken)}", fix)
    return Finding(f"every release is intact, {pruned} were pruned")


def champion(settings: Settings) -> Finding:
    """Check that journal, release folder and registry name the same champion."""
    with Ledger(settings.ledger_url) as ledger:
        journal = ledger.promotions()
    try:
        named = {
            "ledger": journal["model_version"].iloc[-1] if len(journal) else "none",
            "releases": _served(settings),
            "registry": _alias(settings),
        }
    except SalescastError as error:
        return Finding(str(error), "see the lines of registry and releases")
    summary = ", ".join(f"{where}: {version}" for where, version in named.items())
    if len(set(named.values())) == 1:
        return Finding(f"the champion is version {named['ledger']} everywhere")
    fix = f"salescast promote {named['ledger']}" if len(journal) else RESTORE
    return Finding(f"the champion differs: {summary}", fix)


def _served(settings: Settings) -> str:
    try:
        return open_releases(settings).champion().version
    except NoChampionError:
        return "none"


def _alias(settings: Settings) -> str:
    version = open_registry(settings).version("champion")
    return str(version.number) if version else "none"


def model(settings: Settings) -> Finding:
    """Check that the registry's model of the champion is the one that was registered."""
    registry = open_registry(settings)
    try:
        version = registry.version("champion")
        if version is None:
            return Finding("no champion is registered")
        registry.model_file(version)
    except SalescastError as error:
        return Finding(str(error), RESTORE)
    return Finding(f"the model of version {version.number} has its registered digest")


def files(settings: Settings) -> Finding:
    """Check that each file that the data version lists is there and unchanged."""
    changed = versions.changed_files(settings.root)
    if changed is None:
        return Finding("no list of files to compare with")
    if changed:
        fix = (
            "dvc checkout --force data.dvc brings them back; salescast stage version keeps changes"
        )
        return Finding(f"missing or changed: {', '.join(changed[:3])}", fix)
    return Finding("every file of data/ is as it was recorded")
