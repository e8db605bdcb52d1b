"""A client of the API, sync and async, that imports nothing of the product.

    with Client("http://127.0.0.1:8000") as client:
        for day in client.forecast("london-1", "u2").days:
            print(day.date, day.quantiles["p50"])

Every call may be sent again: what changes something is idempotent. Answers 429, 502, 503 and 504,
and connections that fail, are tried again after what `Retry-After` asks, or after 0.2, 0.4, 0.8 …
seconds.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar

import httpx

from salescast.client import calls
from salescast.client.answers import (
    Batch,
    Day,
    Forecast,
    Forecasts,
    History,
    Order,
    Orders,
    Outcome,
    PastDay,
    Provenance,
    Receipt,
    Recorded,
    WhatIf,
)
from salescast.client.calls import Call, ProblemError, Series

__all__ = [
    "AsyncClient",
    "Batch",
    "Client",
    "Day",
    "Forecast",
    "Forecasts",
    "History",
    "Order",
    "Orders",
    "Outcome",
    "PastDay",
    "ProblemError",
    "Provenance",
    "Receipt",
    "Recorded",
    "WhatIf",
]

RETRIES, TIMEOUT = 4, 10.0
T = TypeVar("T")


class Client:
    """A client that waits for its answers. Every method raises ProblemError, or httpx's errors."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Name the service; nothing is sent yet. `timeout` (seconds) of each try."""
        self._http = httpx.Client(base_url=url, **_options(key, timeout))
        self._retries, self._sleep = retries, sleep

    def __enter__(self) -> Self:
        """Return the client, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, call: Call[T]) -> T:
        for tried in range(self._retries + 1):
            answer, error = None, None
            try:
                answer = self._http.request(
                    call.method, call.path, json=call.json, params=call.params, headers=call.headers
                )
            except httpx.TransportError as failed:
                error = failed
            wait = call.wait(answer, tried)
            if wait is None or tried == self._retries:
                break
            self._sleep(wait)
        if answer is None:
            raise error or AssertionError("a try ends with an answer or an error")
        return call.answered(answer)

    def forecast(self, store_id: str, item_id: str, what_if: WhatIf | None = None) -> Forecast:
        """Return the forecast of one series, all days and quantiles."""
        return self.forecasts([(store_id, item_id)], what_if=what_if).forecasts[0]

    def forecasts(
        self,
        series: Iterable[Series],
        horizon: int | None = None,
        quantiles: Sequence[float] | None = None,
        what_if: WhatIf | None = None,
    ) -> Forecasts:
        """Return the forecasts of (store_id, item_id) pairs, in their order."""
        return self._send(calls.forecasts(series, horizon, quantiles, what_if))

    def orders(self, store: str | None = None) -> Orders:
        """Return the orders proposed last, of one store or of all."""
        return self._send(calls.orders(store))

    def history(self, store_id: str, item_id: str, days: int = 84) -> History:
        """Return the last days of one series."""
        return self._send(calls.history(store_id, item_id, days))

    def receipt(self, receipt_id: str) -> Receipt:
        """Return a forecast as it was served."""
        return self._send(calls.receipt(receipt_id))

    def model(self) -> Provenance:
        """Return what is served now."""
        return self._send(calls.model())

    def record(self, outcomes: Iterable[Outcome]) -> Recorded:
        """Record what was sold."""
        return self._send(calls.record(outcomes))

    def start_batch(self, requests: Iterable[Mapping[str, Any]], key: str | None = None) -> Batch:
        """Begin a batch: each request holds the arguments of `forecasts`. `key`: idempotency."""
        return self._send(calls.start_batch(requests, key))

    def batch(self, batch_id: str) -> Batch:
        """Return how far a batch is, and its answers once it is done."""
        return self._send(calls.batch(batch_id))


class AsyncClient:
    """The same for asyncio."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Name the service; nothing is sent yet. `timeout` (seconds) of each try."""
        self._http = httpx.AsyncClient(base_url=url, **_options(key, timeout))
        self._retries, self._sleep = retries, sleep

    async def __aenter__(self) -> Self:
        """Return the client, to be closed at the end of the block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(self, call: Call[T]) -> T:
        for tried in range(self._retries + 1):
            answer, error = None, None
            try:
                answer = await self._http.request(
                    call.method, call.path, json=call.json, params=call.params, headers=call.headers
                )
            except httpx.TransportError as failed:
                error = failed
            wait = call.wait(answer, tried)
            if wait is None or tried == self._retries:
                break
            await self._sleep(wait)
        if answer is None:
            raise error or AssertionError("a try ends with an answer or an error")
        return call.answered(answer)

    async def forecast(
        self, store_id: str, item_id: str, what_if: WhatIf | None = None
    ) -> Forecast:
        """Return the forecast of one series, all days and quantiles."""
        return (await self.forecasts([(store_id, item_id)], what_if=what_if)).forecasts[0]

    async def forecasts(
        self,
        series: Iterable[Series],
        horizon: int | None = None,
        quantiles: Sequence[float] | None = None,
        what_if: WhatIf | None = None,
    ) -> Forecasts:
        """Return the forecasts of (store_id, item_id) pairs, in their order."""
        return await self._send(calls.forecasts(series, horizon, quantiles, what_if))

    async def orders(self, store: str | None = None) -> Orders:
        """Return the orders proposed last, of one store or of all."""
        return await self._send(calls.orders(store))

    async def history(self, store_id: str, item_id: str, days: int = 84) -> History:
        """Return the last days of one series."""
        return await self._send(calls.history(store_id, item_id, days))

    async def receipt(self, receipt_id: str) -> Receipt:
        """Return a forecast as it was served."""
        return await self._send(calls.receipt(receipt_id))

    async def model(self) -> Provenance:
        """Return what is served now."""
        return await self._send(calls.model())

    async def record(self, outcomes: Iterable[Outcome]) -> Recorded:
        """Record what was sold."""
        return await self._send(calls.record(outcomes))

    async def start_batch(
        self, requests: Iterable[Mapping[str, Any]], key: str | None = None
    ) -> Batch:
        """Begin a batch: each request holds the arguments of `forecasts`. `key`: idempotency."""
        return await self._send(calls.start_batch(requests, key))

    async def batch(self, batch_id: str) -> Batch:
        """Return how far a batch is, and its answers once it is done."""
        return await self._send(calls.batch(batch_id))


def _options(key: str | None, timeout: float) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return {"headers": headers, "timeout": timeout}
