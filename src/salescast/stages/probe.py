"""Compare what a service answers with the release, over HTTP and bit for bit."""

import os
import time
from typing import Any

import httpx
import pandas as pd

from salescast.data import store, versions
from salescast.errors import ProbeFailed
from salescast.release import Release, issue_all
from salescast.release.issuing import SERIES
from salescast.settings import API_KEY_VARIABLE, Settings
from salescast.stages.configured import open_releases

PATIENCE_SECONDS = 30.0  # a service makes the forecasts of every series first
REFUSED_SECONDS = 5.0  # a service that says so keeps the last good release
MODEL, READY = "/v1/model", "/healthz/ready"


def probe(settings: Settings, release: Release, url: str | None = None) -> str:
    """Return a summary of what a service answers, which must be the release's own forecasts.

    `url`: the service; default: the one at [serving], if it serves releases of this workspace.
    Raises ProbeFailed where it does not take the release, or forecasts otherwise.
    """
    address = url or f"http://{settings.serving.host}:{settings.serving.port}"
    key = os.environ.get(API_KEY_VARIABLE)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=address, timeout=10, headers=headers) as client:
        try:
            digest = _await_release(client, settings, release, PATIENCE_SECONDS if url else 0.0)
            if digest == release.digest:
                series = _compare(client, settings, release)
                return f"{address} answers {series} series as it should"
        except PermissionError:  # it may well be right; nobody may ask
            return f"not probed: put a key for {address} into {API_KEY_VARIABLE}"
        except httpx.TransportError as error:
            if url is None:
                return "no service runs"
            raise ProbeFailed(f"{address} does not answer: {error}") from error
    if url is None and not _is_ours(settings, digest):
        return f"the service at {address} serves no release of this workspace"
    raise ProbeFailed(
        f"{address} did not take version {release.version}: its release is "
        f"{digest[:12] or 'none'}; its log tells why"
    )


def _await_release(
    client: httpx.Client, settings: Settings, release: Release, patience: float
) -> str:
    """Return the digest that the service serves at last: the release's, or what stays instead.

    A service that serves a release of this workspace has the full time to follow.
    """
    started = time.monotonic()
    while True:
        digest = _digest(client.get(MODEL))
        waited = time.monotonic() - started
        allowed = PATIENCE_SECONDS if _is_ours(settings, digest) else patience
        refused = waited > REFUSED_SECONDS and "last_good" in client.get(READY).text
        if digest == release.digest or refused or waited > max(allowed, REFUSED_SECONDS):
            return digest
        time.sleep(0.1)


def _digest(reply: httpx.Response) -> str:
    """Return the digest of the release that answered, "" where none did."""
    if reply.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise PermissionError
    try:
        return str(reply.json().get("release", ""))
    except (ValueError, AttributeError):  # something else listens there
        return ""


def _is_ours(settings: Settings, digest: str) -> bool:
    return digest.isalnum() and any(settings.releases.glob(f"*-{digest[:16]}"))


def _compare(client: httpx.Client, settings: Settings, release: Release) -> int:
    """Compare every number of the first, the middle and the last series; return how many."""
    bundle = open_releases(settings).read(release)
    version, tables = versions.data_version(settings.data), store.read_all(settings.data)
    expected = issue_all(bundle, tables, version)
    keys = expected[[*SERIES]].drop_duplicates().to_dict("records")
    sample = [keys[at] for at in sorted({0, len(keys) // 2, len(keys) - 1})]
    reply = client.post("/v1/forecasts", json={"series": sample})
    if reply.is_error:
        raise ProbeFailed(f"{reply.url} answers {reply.status_code} for {len(sample)} series")
    body = reply.json()
    if body["data_version"] != version or body["model_version"] != release.version:
        raise ProbeFailed(
            f"{reply.url} answers with model {body['model_version']} on data "
            f"{body['data_version']}, not {release.version} on {version}"
        )
    by_series = dict(list(expected.groupby([*SERIES])))
    for answer in body["forecasts"]:
        _compare_series(answer, by_series[answer["store_id"], answer["item_id"]])
    return len(sample)


def _compare_series(answer: dict[str, Any], expected: pd.DataFrame) -> None:
    levels = list(answer["days"][0]["quantiles"])
    numbers = [
        [day["mean"], day["stock_target"], *(day["quantiles"][name] for name in levels)]
        for day in answer["days"]
    ]
    if numbers != expected[["mean", "stock_target", *levels]].to_numpy().tolist():
        raise ProbeFailed(
            f"its numbers for {answer['store_id']} × {answer['item_id']} are not the release's"
        )
