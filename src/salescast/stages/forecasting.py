"""From a champion to forecasts in the ledger, an answer over HTTP and a live scorecard."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd

from salescast.contract.schema import Tables, last_day
from salescast.data import store, versions
from salescast.data.files import read_frame, write_frame, write_json
from salescast.errors import StoreUnavailableError
from salescast.ordering.orders import Cycle, Limit, Values, due, propose
from salescast.ordering.replenishment import SERIES, beside, draw, position, sold
from salescast.ordering.sample_paths import Dependence
from salescast.release import Bundle, Release, Releases, feature_rows, issue_all, open_rival
from salescast.release import beside as aside
from salescast.settings import CONFIG_VARIABLE, Costs, Settings
from salescast.stages.partitions import Each, Partition, one_by_one, pool
from salescast.stages.spool import record
from salescast.stages.training import cycle_of

START_SECONDS = 60  # a cold machine imports scikit-learn and MLflow first


def forecast(settings: Settings, each: Each = one_by_one) -> dict[str, Any]:
    """Forecast every series from the last origin with the champion, into the ledger.

    `each` works through the partitions, where the settings cut the chain into some.
    """
    champion = _champion(settings)
    data_version = versions.data_version(settings.data)
    issued = partial(_issued, settings, data_version, each)
    made, shadow = aside(
        settings.releases, champion, issued(champion), issued, settings.model.trusted_types
    )
    origin, horizon = made["origin"].iloc[0], champion.contract["horizon"]
    kept = record(settings, {"forecasts": made, "shadow": shadow})
    write_frame(settings.build / "forecasts.parquet", made)
    series = made["receipt_id"].nunique()
    degraded = int(made["degraded"].map(bool).sum())
    return {
        "origin": f"{origin:%Y-%m-%d}",
        "series": series,
        "degraded_rows": degraded,
        "model_version": champion.version,
        "data_version": data_version,
        "summary": f"{series} series × {horizon} days from {origin:%Y-%m-%d} by "
        f"version {champion.version}"
        + (f", {degraded:,} rows degraded" if degraded else "")
        + ("" if kept else ", kept until the ledger answers"),
    }


def _issued(settings: Settings, data_version: str, each: Each, bundle: Bundle) -> pd.DataFrame:
    """Return the forecasts of every series by a release; raises as `forecast`."""
    if settings.scale.partitions == 1:
        return issue_all(bundle, store.read_all(settings.data), data_version)
    origin = last_day(store.read_days(settings.data))
    parts, chain = pool(settings, [origin], bundle.contract["horizon"], each)
    release = Release(0, bundle.version, bundle.digest)
    made = each(partial(_partition, settings, release, data_version, chain), parts)
    if (
        versions.data_version(settings.data) != data_version
    ):  # read more than once, a part at a time
        raise StoreUnavailableError("the data changed while they were read; forecast again")
    return pd.concat(made, ignore_index=True)


def _partition(
    settings: Settings,
    release: Release,
    data_version: str,
    chain: pd.DataFrame,
    part: Partition,
) -> pd.DataFrame:
    """Return the forecasts of a partition's stores."""
    bundle = Releases(settings.releases, settings.model.trusted_types).read(release)
    tables = store.read_part(settings.data, part.store_ids)
    return issue_all(bundle, tables, data_version, (part.origins[0], chain))


def _champion(settings: Settings) -> Bundle:
    """Return the release that serves; raise NoChampionError where there is none."""
    releases = Releases(settings.releases, settings.model.trusted_types)
    return releases.read(releases.champion())


def order(settings: Settings) -> dict[str, Any]:
    """Propose what to order at the last origin, beside what the old rule would, into the ledger."""
    made = read_frame(settings.build / "forecasts.parquet", "forecast")
    champion, tables = _champion(settings), store.read_all(settings.data)
    origin = made["origin"].iloc[0]
    about = ["receipt_id", "origin", "model_version", "data_version"]
    receipts = made.drop_duplicates(SERIES)[[*SERIES, *about]]
    stock = position(tables, origin, receipts)
    cycle, costs = cycle_of(settings), settings.costs
    drawn = _drawn(champion, tables, stock, cycle)
    theirs = receipts["model_version"].to_numpy() != champion.version
    if theirs.any() and (
        rival := open_rival(settings.releases, champion, settings.model.trusted_types)
    ):
        drawn[theirs] = _drawn(rival[1], tables, stock[theirs], cycle)
    proposal = propose(drawn, stock, cycle, _limit(costs, stock))
    planned = beside(drawn, stock, sold(tables, origin, stock), cycle)
    known = stock[["on_hand", "on_order", "counted", "unit_cost"]]
    orders = pd.concat([proposal.orders, planned, known], axis=1).merge(receipts, on=SERIES)
    orders["due"] = due(origin, costs.review_weekday, costs.review_days)
    write_frame(settings.build / "orders.parquet", orders)
    record(settings, {"orders": orders})
    result = _ordered(orders, proposal.shadow_price, settings)
    write_json(settings.build / "orders.json", result)
    return result


def _drawn(bundle: Bundle, tables: Tables, stock: pd.DataFrame, cycle: Cycle) -> Values:
    """Return a release's sample paths in the order of `stock`."""
    told = Dependence(**bundle.dependence)
    return draw(bundle.model, told, feature_rows(bundle, tables), stock, cycle)


def _limit(costs: Costs, stock: pd.DataFrame) -> Limit | None:
    """Return what all orders share: money, units, or nothing."""
    if costs.budget:
        return Limit(costs.budget, stock["unit_cost"].to_numpy(float))
    return Limit(costs.capacity, np.ones(len(stock))) if costs.capacity else None


def _ordered(orders: pd.DataFrame, shadow_price: float, settings: Settings) -> dict[str, Any]:
    total = orders[["order", "spend", "expected_cost", "planner_cost"]].sum()
    currency = settings.product.currency
    is_due = bool(orders["due"].iloc[0])
    counted = bool(orders["counted"].notna().any())
    scarce = f", one more unit of the limit saves {shadow_price:.2f}" if shadow_price else ""
    return {
        "origin": f"{orders['origin'].iloc[0]:%Y-%m-%d}",
        "due": is_due,
        "units": int(total["order"]),
        "spend": float(total["spend"]),
        "expected_cost": float(total["expected_cost"]),
        "planner_units": int(orders["planner_order"].sum()),
        "planner_cost": float(total["planner_cost"]),
        "shadow_price": shadow_price,
        "counted": counted,
        "summary": f"{total['order']:,.0f} units for {total['spend']:,.0f} {currency}"
        f"{' today' if is_due else ', if ordered today'}: expected to cost "
        f"{total['expected_cost']:,.0f}, the old rule's {total['planner_cost']:,.0f}{scarce}"
        + ("" if counted else "; no stock was counted, so shelves are taken as empty"),
    }


def answer(settings: Settings) -> dict[str, Any]:
    """Start the API as a process of its own and fetch one forecast over a socket."""
    rows = read_frame(settings.build / "forecasts.parquet", "forecast")
    store_id, item_id = rows.loc[rows["mean"].idxmax(), ["store_id", "item_id"]]
    asked = {"series": [{"store_id": store_id, "item_id": item_id}]}
    with _server(settings) as url:
        reply = httpx.post(f"{url}/v1/forecasts", json=asked, timeout=30)
    if reply.is_error:
        raise StoreUnavailableError(f"the API answers {reply.status_code}: {reply.text[:300]}")
    body = reply.json()
    write_json(settings.build / "answer.json", body)
    first = body["forecasts"][0]
    return {
        "answer": body,
        "summary": f"HTTP {reply.status_code}: {store_id} × {item_id}, "
        f"receipt {first['receipt_id']}",
    }


@contextmanager
def _server(settings: Settings) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "api.main:create_app"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    environment = os.environ | {CONFIG_VARIABLE: str(settings.root / "config.toml")}
    log = settings.build / "answer.log"
    with log.open("w") as errors:
        process = subprocess.Popen(command, env=environment, stderr=errors)  # noqa: S603
    try:
        _wait(process, f"http://127.0.0.1:{port}", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StoreUnavailableError(f"the API did not start: {log.read_text().strip()[-500:]}")
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/healthz/ready", timeout=2).status_code == httpx.codes.OK:
                return
        time.sleep(0.1)
    raise StoreUnavailableError(f"the API was not ready after {START_SECONDS} s")
