"""A challenger tried beside the champion: in the shadow, or as the canary of some stores."""

import json
import logging
import os
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from salescast.data.strict import as_json, read_bytes
from salescast.errors import DataQualityError, StoreUnavailableError
from salescast.evaluation.live_comparison import chosen
from salescast.release.bundle import Bundle
from salescast.release.releases import Release, Releases

POINTER = "trial"
log = logging.getLogger("salescast.api")


@dataclass(frozen=True)
class Trial:
    """A release that forecasts beside the champion.

    `share` (0 … 1) of the stores are served by it; the others' forecasts, and the champion's for
    its stores, are kept in the shadow: recorded, never answered.
    """

    version: str
    digest: str
    share: float

    @property
    def release(self) -> Release:
        """The release on trial; it has no place among the champions."""
        return Release(0, self.version, self.digest)


def read_trial(releases: Path) -> Trial | None:
    """Return what is on trial in the folder of the releases, None where nothing is.

    Raises DataQualityError where the file that says so is damaged.
    """
    path = releases / POINTER
    if not os.path.lexists(path):
        return None
    try:
        trial = Trial(**as_json(read_bytes(path, 4096)))
        if not (0 <= trial.share <= 1 and trial.version.isalnum()):
            raise ValueError("a share is between 0 and 1")
    except (ValueError, TypeError, AttributeError) as error:
        raise DataQualityError(
            f"{path}: damaged ({error}); run `salescast canary --stop`"
        ) from error
    return trial


def write_trial(releases: Path, trial: Trial | None) -> None:
    """Begin a trial, in place of another one, or end it; in one step."""
    path, part = releases / POINTER, releases / f".{POINTER}.{os.getpid()}"
    try:
        if trial is None:
            path.unlink(missing_ok=True)
        else:
            part.write_text(json.dumps(asdict(trial)) + "\n", encoding="utf-8")
            part.replace(path)
    except OSError as error:
        raise StoreUnavailableError(f"cannot write {path}: {error.strerror}") from error


def beside(
    releases: Path,
    champion: Bundle,
    made: pd.DataFrame,
    issued: Callable[[Bundle], pd.DataFrame],
    trusted: Collection[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what is served and what stays in the shadow, where a release is on trial.

    `made`: the champion's forecasts; `issued`: makes those of the other release. Where
    that cannot be read or promises something else than the champion, the champion serves alone.
    """
    try:
        rival = open_rival(releases, champion, trusted)
    except DataQualityError as error:
        log.warning("the version on trial does not serve: %s", error)
        rival = None
    if rival is None:
        return made, made.iloc[:0]
    return split(made, issued(rival[1]), rival[0])


def open_rival(
    releases: Path, champion: Bundle, trusted: Collection[str] = ()
) -> tuple[Trial, Bundle] | None:
    """Return what is on trial beside the champion, with its release; None where nothing is.

    Raises DataQualityError where it is damaged or promises something else than the champion.
    """
    trial = read_trial(releases)
    if trial is None or trial.version == champion.version:
        return None
    rival = Releases(releases, trusted).read(trial.release)
    for name in ("horizon", "quantiles"):
        if rival.contract[name] != champion.contract[name]:
            raise DataQualityError(
                f"version {trial.version} has another {name} than the champion; promote it instead"
            )
    return trial, rival


def split(
    made: pd.DataFrame, theirs: pd.DataFrame, trial: Trial
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what is served and what stays in the shadow, each ordered by series and day.

    `made`: the champion's forecasts; `theirs`: those of the release on trial.
    """
    stores = chosen(made["store_id"], trial.share, trial.version)
    inside, also = made["store_id"].isin(stores), theirs["store_id"].isin(stores)
    order = ["store_id", "item_id", "date"]
    served, shadow = (
        pd.concat(parts).sort_values(order, ignore_index=True)
        for parts in ((made[~inside], theirs[also]), (made[inside], theirs[~also]))
    )
    return served, shadow
