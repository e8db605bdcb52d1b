"""What a Prefect server needs: work pool, deployments, automations, the end of dead runs."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml
from prefect.client.base import PrefectHttpxSyncClient

from salescast.errors import StoreUnavailableError

ROOT = Path(__file__).parent.parent
AUTOMATIONS = Path(__file__).with_name("automations.yaml")
POOL = {"name": "salescast", "type": "process"}
UNFINISHED = ("PENDING", "RUNNING", "CANCELLING")


def deploy(variables: Mapping[str, str]) -> None:
    """Deploy every flow of prefect.yaml and replace the automations."""
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    process = subprocess.run(  # noqa: S603 - a fixed command
        command, cwd=ROOT, env=dict(variables), capture_output=True, text=True, check=False
    )
    if process.returncode:
        output = process.stdout + process.stderr
        raise StoreUnavailableError(f"prefect deploy: {output[-800:]}")
    with connect(variables["PREFECT_API_URL"]) as api:
        replace_automations(api)


def connect(api: str) -> httpx.Client:
    """Return a client that retries while the server is busy, as SQLite sometimes makes it."""
    return PrefectHttpxSyncClient(base_url=api, timeout=30, raise_on_all_errors=False)


def automations(ids: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the automations; `ids`: "flow/name" of each deployment → its id."""
    text = AUTOMATIONS.read_text("utf-8")
    for name, deployment in ids.items():
        text = text.replace(f"{{{name}}}", deployment)
    parsed: list[dict[str, Any]] = yaml.safe_load(text)
    return parsed


def replace_automations(api: httpx.Client) -> None:
    """Write the automations of this repository to the server, each once."""
    flows = {flow["id"]: flow["name"] for flow in _request(api, "/flows/filter")}
    deployments = _request(api, "/deployments/filter")
    ids = {f"{flows[one['flow_id']]}/{one['name']}": one["id"] for one in deployments}
    existing = {one["name"]: one["id"] for one in _request(api, "/automations/filter")}
    for automation in automations(ids):
        if automation["name"] in existing:
            api.delete(f"/automations/{existing[automation['name']]}").raise_for_status()
        _request(api, "/automations/", automation)


def create_pool(api: httpx.Client) -> None:
    """Create the work pool where it is missing; the first worker completes its configuration."""
    reply = api.post("/work_pools/", json=POOL)
    if reply.is_error and reply.status_code != httpx.codes.CONFLICT:
        raise StoreUnavailableError(f"Prefect /work_pools: {reply.status_code} {reply.text[:300]}")


def has_worker(api: httpx.Client) -> bool:
    """Return whether a worker has registered with the server."""
    return bool(_request(api, f"/work_pools/{POOL['name']}/workers/filter"))


def unfinished_runs(api: httpx.Client) -> list[str]:
    """Return the ids of the flow runs that hold a concurrency slot."""
    query = {"flow_runs": {"state": {"type": {"any_": UNFINISHED}}}}
    return [run["id"] for run in _request(api, "/flow_runs/filter", query)]


def mark_crashed(api: httpx.Client, runs: Sequence[str]) -> None:
    """Mark runs as crashed, which releases their concurrency slots."""
    message = "its worker and the server were stopped while it ran"
    state = {"type": "CRASHED", "message": message}
    for run in runs:
        _request(api, f"/flow_runs/{run}/set_state", {"state": state, "force": True})


def _request(api: httpx.Client, path: str, body: object = None) -> list[dict[str, str]]:
    reply = api.post(path, json=body or {})
    if reply.is_error:
        raise StoreUnavailableError(f"Prefect {path}: {reply.status_code} {reply.text[:300]}")
    rows: list[dict[str, str]] = reply.json()
    return rows
