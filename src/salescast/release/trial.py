"""A release on trial next to the champion: in the shadow, or as the canary of some stores."""

import json
import logging
import os
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from salescast.data.files import as_json, read_bytes, replace_text
from salescast.errors import DataQualityError, StoreUnavailableError
from salescast.evaluation.live_comparison import chosen
from salescast.release.bundle import Bundle
from salescast.release.releases import Release, Releases

POINTER = "trial"
log = logging.getLogger("salescast.api")


@dataclass(frozen=True)
class Trial:
    """A release that forecasts next to the champion.

    It serves `share` (0 … 1) of the stores. Its forecasts for the other stores, and the champion's
    for its stores, are shadow forecasts: recorded, never answered.
    """

    version: str
    digest: str
    share: float

    @property
    def release(self) -> Release:
        """The release on trial; it has no place among the champions."""
        return Release(0, self.version, self.digest)


def read_trial(releases: Path) -> Trial | None:
    """Return the trial in the folder of the releases, None where nothing is on trial.

    Raises DataQualityError where its file is damaged.
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
    """Begin a trial, in place of another one, or end it with None; in one step."""
    path = releases / POINTER
    if trial is not None:
        replace_text(path, json.dumps(asdict(trial)) + "\n")
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnavailableError(f"cannot remove {path}: {error.strerror}") from error


def served_and_shadow(
    releases: Path,
    champion: Bundle,
    forecasts: pd.DataFrame,
    issue: Callable[[Bundle], pd.DataFrame],
    trusted: Collection[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the served forecasts and the shadow forecasts.

    `forecasts`: the champion's; `issue`: returns those of another release. Where the release on
    trial cannot be read or has another horizon or quantiles, the champion serves alone.
    """
    try:
        on_trial = open_trial(releases, champion, trusted)
    except DataQualityError as error:
        log.warning("the version on trial does not serve: %s", error)
        on_trial = None
    if on_trial is None:
        return forecasts, forecasts.iloc[:0]
    trial, bundle = on_trial
    return split(forecasts, issue(bundle), trial)


def open_trial(
    releases: Path, champion: Bundle, trusted: Collection[str] = ()
) -> tuple[Trial, Bundle] | None:
    """Return the trial and its release; None where nothing is on trial.

    Raises DataQualityError where it is damaged or has another horizon or quantiles than the
    champion.
    """
    trial = read_trial(releases)
    if trial is None or trial.version == champion.version:
        return None
    bundle = Releases(releases, trusted).read(trial.release)
    for name in ("horizon", "quantiles"):
        if bundle.contract[name] != champion.contract[name]:
            raise DataQualityError(
                f"version {trial.version} has another {name} than the champion; promote it instead"
            )
    return trial, bundle


def split(
    champions: pd.DataFrame, on_trial: pd.DataFrame, trial: Trial
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the served and the shadow forecasts, each ordered by series and day.

    `champions`: the champion's forecasts; `on_trial`: those of the release on trial.
    """
    stores = chosen(champions["store_id"], trial.share, trial.version)
    inside, tried = champions["store_id"].isin(stores), on_trial["store_id"].isin(stores)
    order = ["store_id", "item_id", "date"]
    served, shadow = (
        pd.concat(parts).sort_values(order, ignore_index=True)
        for parts in (
            (champions[~inside], on_trial[tried]),
            (champions[inside], on_trial[~tried]),
        )
    )
    return served, shadow
