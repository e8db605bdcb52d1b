"""What a Prefect server is told: the work pool, the deployments, the automations, who is dead."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
from prefect.client.base import PrefectHttpxSyncClient

from salescast.errors import StoreUnavailableError
from scripts.automations import AUTOMATIONS

ROOT = Path(__file__).parent.parent
POOL = {"name": "salescast", "type": "process"}
OPEN = ("PENDING", "RUNNING", "CANCELLING")
DEAD = "its worker and the server were stopped while it ran"


def deploy(variables: Mapping[str, str]) -> None:
    """Deploy every flow of prefect.yaml and replace the automations."""
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(  # noqa: S603 - our own words
        command, cwd=ROOT, env=dict(variables), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StoreUnavailableError(f"prefect deploy: {(done.stdout + done.stderr)[-800:]}")
    with asking(variables["PREFECT_API_URL"]) as api:
        automate(api)


def asking(api: str) -> httpx.Client:
    """Return a client that asks again where the server is busy, as SQLite makes it at times."""
    return PrefectHttpxSyncClient(base_url=api, timeout=30, raise_on_all_errors=False)


def automate(api: httpx.Client) -> None:
    """Let the server hold the automations of this repository, each once."""
    flows = {one["id"]: one["name"] for one in _ask(api, "POST", "/flows/filter")}
    ids = {
        f"{flows[one['flow_id']]}/{one['name']}": one["id"]
        for one in _ask(api, "POST", "/deployments/filter")
    }
    there = {one["name"]: one["id"] for one in _ask(api, "POST", "/automations/filter")}
    for automation in AUTOMATIONS:
        body = automation(ids)
        if body["name"] in there:
            api.delete(f"/automations/{there[body['name']]}").raise_for_status()
        _ask(api, "POST", "/automations/", body)


def make_pool(api: httpx.Client) -> None:
    """Make the work pool where it is missing; the first worker tells it how to run."""
    reply = api.post("/work_pools/", json=POOL)
    if reply.is_error and reply.status_code != httpx.codes.CONFLICT:
        raise StoreUnavailableError(f"Prefect /work_pools: {reply.status_code} {reply.text[:300]}")


def has_worker(api: httpx.Client) -> bool:
    """Tell whether the server has heard of a worker."""
    return bool(_ask(api, "POST", f"/work_pools/{POOL['name']}/workers/filter"))


def unfinished(api: httpx.Client) -> list[str]:
    """Return the ids of the flow runs that hold a turn."""
    wanted = {"flow_runs": {"state": {"type": {"any_": OPEN}}}}
    return [run["id"] for run in _ask(api, "POST", "/flow_runs/filter", wanted)]


def end(api: httpx.Client, runs: Sequence[str]) -> None:
    """Call runs crashed, which gives their turns back."""
    state = {"type": "CRASHED", "message": DEAD}
    for run in runs:
        _ask(api, "POST", f"/flow_runs/{run}/set_state", {"state": state, "force": True})


def _ask(api: httpx.Client, method: str, path: str, body: object = None) -> list[dict[str, str]]:
    reply = api.request(method, path, json=body or {})
    if reply.is_error:
        raise StoreUnavailableError(f"Prefect {path}: {reply.status_code} {reply.text[:300]}")
    found: list[dict[str, str]] = reply.json()
    return found
