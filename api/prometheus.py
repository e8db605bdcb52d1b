"""Metrics for Prometheus: few series, however many stores, items and callers there are.

They are those of one process; several processes add up in the empty folder that
PROMETHEUS_MULTIPROC_DIR names.
"""

import os
from functools import cache

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import Scope

from api.snapshot import Snapshot

CONTENT_TYPE = CONTENT_TYPE_LATEST
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
SERVED = {
    "ready": "1 while forecasts are served.",
    "whole": "1 while nothing is degraded.",
    "model_version": "Version of the champion; -1: not a number.",
    "origin_timestamp_seconds": "Begin of the last day with known sales.",
}
METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        """Start at zero."""
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "salescast_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "salescast_request_seconds",
            "Time to answer.",
            ["route"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._labels = cache(self._labelled)  # to look labels up costs more than to count
        self._served = {
            name: Gauge(
                f"salescast_{name}", meaning, multiprocess_mode="livemin", registry=registry
            )
            for name, meaning in SERVED.items()
        }

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one answered request under its route."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "other"
        requests, durations = self._labels(method, route, str(status))
        requests.inc()
        durations.observe(seconds)

    def _labelled(self, method: str, route: str, status: str) -> tuple[Counter, Histogram]:
        return self._requests.labels(method, route, status), self._seconds.labels(route)

    def render(self, snapshot: Snapshot | None) -> bytes:
        """Return the metrics as text, with those of the current snapshot."""
        self._served["ready"].set(snapshot is not None)
        if snapshot is not None:
            version = snapshot.provenance["model_version"]
            self._served["whole"].set(not snapshot.provenance["degraded"])
            self._served["model_version"].set(float(version) if version.isdigit() else -1.0)
            self._served["origin_timestamp_seconds"].set(snapshot.origin_seconds)
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
