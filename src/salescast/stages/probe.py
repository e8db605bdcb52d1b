"""Whether the services answer as the release does: asked over HTTP, compared bit for bit."""

import os
import time
from contextlib import suppress
from typing import Any

import httpx
import pandas as pd

from salescast.data import store, versions
from salescast.errors import ProbeFailed
from salescast.release import Release, Releases, issue_all, present
from salescast.release.forecasts import SERIES
from salescast.settings import API_KEY_VARIABLE, Settings

PATIENCE_SECONDS = 30.0  # a service makes the forecasts of every series first
ASKED = 3  # series: the first, the middle, the last


def probe(settings: Settings, release: Release, url: str | None = None) -> str:
    """Return what was seen of the services: none there, taken over, or asked and right.

    `url`: a service that must answer; default: the one of [serving], if it is ours.
    Raises ProbeFailed where a service refuses the release or answers otherwise.
    """
    services = _await_all(settings, release)
    if not services and url is None:
        return "no service runs"
    address = url or f"http://{settings.serving.host}:{settings.serving.port}"
    taken = f"{services} {'service' if services == 1 else 'services'} took it"
    key = os.environ.get(API_KEY_VARIABLE)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=address, timeout=10, headers=headers) as client:
        try:
            _await_version(client, release)
        except PermissionError:  # it may well be right; nobody may ask
            return f"{taken}, none was asked: put a key for {address} into {API_KEY_VARIABLE}"
        except (httpx.TransportError, ProbeFailed) as error:
            if url is not None:
                raise ProbeFailed(f"{address} did not answer with the release: {error}") from error
            return f"{taken}, none was asked: {address} is not one of them"
        asked = _compare(client, settings, release)
    return f"{taken}, {asked} series answered as they should"


def _await_all(settings: Settings, release: Release) -> int:
    """Wait until every service serves the release; return how many there are."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        notes = present(settings.releases)
        late = [note for note in notes if (note.get("sequence") or 0) < release.sequence]
        refused = [note for note in late if note.get("refused") == release.sequence]
        if not late:
            return len(notes)
        if refused or time.monotonic() > deadline:
            one = (refused or late)[0]
            raise ProbeFailed(
                f"{len(late)} of {len(notes)} services did not take version {release.version}; "
                f"process {one['pid']}: {one.get('failure') or 'still busy'}"
            )
        time.sleep(0.05)


def _await_version(client: httpx.Client, release: Release) -> None:
    deadline, said = time.monotonic() + PATIENCE_SECONDS, ""
    while time.monotonic() < deadline:
        reply = client.get("/v1/model")
        if reply.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise PermissionError
        with suppress(ValueError):
            body = reply.json()
            if reply.is_success and body.get("release") != release.digest and not said:
                deadline = min(deadline, time.monotonic() + 5)  # another release: it has to hurry
            if body.get("release") == release.digest:
                return
            said = str(body.get("model_version") or body.get("title"))
        time.sleep(0.1)
    raise ProbeFailed(f"it answers {said!r}, not version {release.version}")


def _compare(client: httpx.Client, settings: Settings, release: Release) -> int:
    """Ask for a few series and compare every number; return how many were asked."""
    bundle = Releases(settings.releases, settings.model.trusted_types).read(release)
    version, tables = versions.data_version(settings.data), store.read_all(settings.data)
    made = issue_all(bundle, tables, version)
    keys = made[[*SERIES]].drop_duplicates().to_dict("records")
    asked = [keys[at] for at in sorted({0, len(keys) // 2, len(keys) - 1})][:ASKED]
    reply = client.post("/v1/forecasts", json={"series": asked})
    if reply.is_error:
        raise ProbeFailed(f"it answers {reply.status_code} to a request for {len(asked)} series")
    body = reply.json()
    if body["data_version"] != version or body["model_version"] != release.version:
        raise ProbeFailed(
            f"it answers with model {body['model_version']} on data {body['data_version']}, "
            f"not {release.version} on {version}"
        )
    for one in body["forecasts"]:
        _compare_one(one, made[_of(made, one)])
    return len(asked)


def _of(made: pd.DataFrame, one: dict[str, Any]) -> "pd.Series[bool]":
    return (made["store_id"] == one["store_id"]) & (made["item_id"] == one["item_id"])


def _compare_one(one: dict[str, Any], rows: pd.DataFrame) -> None:
    levels = list(one["days"][0]["quantiles"])
    said = [
        [day["mean"], day["stock_target"], *(day["quantiles"][name] for name in levels)]
        for day in one["days"]
    ]
    if said != rows[["mean", "stock_target", *levels]].to_numpy().tolist():
        raise ProbeFailed(
            f"its numbers for {one['store_id']} × {one['item_id']} are not the release's"
        )
