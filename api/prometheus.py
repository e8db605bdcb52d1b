"""What Prometheus reads: few series, however many stores, items and callers there are.

Numbers are those of one process; where several serve, PROMETHEUS_MULTIPROC_DIR names an empty
folder in which they add up.
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
    "model_version": "The champion's; -1: no number.",
    "origin_timestamp_seconds": "Begin of the last day known.",
}
METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})


class Metrics:
    """The numbers of one application."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self._registry = here = CollectorRegistry()
        self._requests = Counter(
            "salescast_requests", "Requests answered.", ["method", "route", "status"], registry=here
        )
        self._seconds = Histogram(
            "salescast_request_seconds",
            "Time to answer.",
            ["route"],
            buckets=BUCKETS,
            registry=here,
        )
        self._of = cache(self._labelled)  # to look labels up costs more than to count
        self._served = {
            name: Gauge(f"salescast_{name}", meaning, multiprocess_mode="livemin", registry=here)
            for name, meaning in SERVED.items()
        }

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one answered request, under the route it took."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "other"
        requests, took = self._of(method, route, str(status))
        requests.inc()
        took.observe(seconds)

    def _labelled(self, method: str, route: str, status: str) -> tuple[Counter, Histogram]:
        return self._requests.labels(method, route, status), self._seconds.labels(route)

    def render(self, snapshot: Snapshot | None) -> bytes:
        """Return the numbers as text, those of what is served now among them."""
        self._served["ready"].set(snapshot is not None)
        if snapshot is not None:
            said, number = snapshot.provenance, snapshot.provenance["model_version"]
            self._served["whole"].set(not said["degraded"])
            self._served["model_version"].set(float(number) if number.isdigit() else -1.0)
            self._served["origin_timestamp_seconds"].set(snapshot.origin_seconds)
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
