"""A client of the API, sync and async. It needs httpx and imports nothing else of the product.

    with Client("http://127.0.0.1:8000") as client:
        for day in client.forecast("london-1", "u2").days:
            print(day.date, day.quantiles["p50"])

Every call can be repeated safely: writing is idempotent. Answers with 429, 502, 503 or 504 and
failed connections are retried after the seconds that `Retry-After` names, or after 0.2, 0.4, 0.8 …
seconds. Every method raises ProblemError where the service refuses, and httpx's errors.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import httpx

from salescast.client.endpoints import Call, Endpoints, wait_after
from salescast.client.endpoints import ProblemError as ProblemError
from salescast.client.responses import Day as Day
from salescast.client.responses import Decided as Decided
from salescast.client.responses import Decision as Decision
from salescast.client.responses import Decisions as Decisions
from salescast.client.responses import Forecast as Forecast
from salescast.client.responses import Forecasts as Forecasts
from salescast.client.responses import History as History
from salescast.client.responses import Order as Order
from salescast.client.responses import OrderRelease as OrderRelease
from salescast.client.responses import Orders as Orders
from salescast.client.responses import Outcome as Outcome
from salescast.client.responses import PastDay as PastDay
from salescast.client.responses import Provenance as Provenance
from salescast.client.responses import Receipt as Receipt
from salescast.client.responses import Recorded as Recorded
from salescast.client.responses import ReleasedOrder as ReleasedOrder
from salescast.client.responses import WhatIf as WhatIf

T = TypeVar("T")


@dataclass
class _Connection(Endpoints):
    url: str
    key: str | None = None
    timeout: float = 10.0  # seconds of each attempt
    retries: int = 4

    def _options(self) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        here = httpx.URL(self.url).host in ("localhost", "127.0.0.1", "::1")  # needs no proxy
        return {
            "base_url": self.url,
            "headers": headers,
            "timeout": self.timeout,
            "trust_env": not here,
        }


@dataclass
class Client(_Connection):
    """A client that blocks until the answer is there."""

    sleep: Callable[[float], object] = time.sleep

    def __post_init__(self) -> None:
        """Prepare the connections; nothing is sent yet."""
        self._http = httpx.Client(**self._options())

    def __enter__(self) -> Self:
        """Return the client, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Return the answer to a call, after as many attempts as it needs."""
        for attempt in range(self.retries):
            try:
                response = self._http.request(**call.options())
            except httpx.TransportError:
                response = None
            wait = wait_after(response, attempt)
            if response is not None and wait is None:
                return call.result(response)
            self.sleep(wait or 0.0)
        return call.result(self._http.request(**call.options()))


@dataclass
class AsyncClient(_Connection):
    """The same client for asyncio: every method returns an awaitable."""

    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    def __post_init__(self) -> None:
        """Prepare the connections; nothing is sent yet."""
        self._http = httpx.AsyncClient(**self._options())

    async def __aenter__(self) -> Self:
        """Return the client, to be closed at the end of the block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send_async(self, call: Call[T]) -> T:
        """Return the answer to a call, after as many attempts as it needs."""
        for attempt in range(self.retries):
            try:
                response = await self._http.request(**call.options())
            except httpx.TransportError:
                response = None
            wait = wait_after(response, attempt)
            if response is not None and wait is None:
                return call.result(response)
            await self.sleep(wait or 0.0)
        return call.result(await self._http.request(**call.options()))
