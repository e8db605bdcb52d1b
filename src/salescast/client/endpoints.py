"""Every endpoint of the API, once: the request to send, and how to read its answer.

An `Endpoint` is a method of both clients: it returns the answer in `Client`, and an awaitable of
the answer in `AsyncClient`.
"""

import email.utils
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload
from urllib.parse import quote

import httpx

from salescast.client.responses import (
    Decision,
    Decisions,
    Forecast,
    Forecasts,
    History,
    OrderRelease,
    Orders,
    Outcome,
    Provenance,
    Receipt,
    Recorded,
    WhatIf,
    read,
)

MAX_WAIT = 60.0  # seconds; the client gives up on a service that asks for more
FIRST_WAIT = 0.2
TEMPORARY = frozenset({429, 502, 503, 504})
T = TypeVar("T")
P = ParamSpec("P")
Series = tuple[str, str]


class ProblemError(Exception):
    """The service refused: `status`, and its problem (RFC 9457: `title`, `detail` …)."""

    def __init__(self, response: httpx.Response) -> None:
        """Read the problem; a body of another kind is ignored."""
        try:
            body = response.json()
        except ValueError:
            body = {}
        self.problem: Mapping[str, Any] = body if isinstance(body, dict) else {}
        self.status = response.status_code
        self.title = str(self.problem.get("title", response.reason_phrase))
        self.detail = str(self.problem.get("detail", ""))
        self.request_id = response.headers.get("x-request-id")
        super().__init__(f"{self.status} {self.title}: {self.detail}")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how to read the JSON of its answer."""

    read: Callable[[Any], T]
    method: str
    path: str
    json: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def options(self) -> dict[str, Any]:
        """Return the arguments for `httpx.Client.request`."""
        return {"method": self.method, "url": self.path, "json": self.json, "params": self.params}

    def result(self, response: httpx.Response) -> T:
        """Return the answer; raise ProblemError where the service refused."""
        if response.is_error:
            raise ProblemError(response)
        return self.read(response.json())


def wait_after(response: httpx.Response | None, attempt: int) -> float | None:
    """Return the seconds until the next attempt, None to stop. No response: connection failed."""
    if response is not None and response.status_code not in TEMPORARY:
        return None
    header = response.headers.get("retry-after") if response is not None else None
    wait = retry_after(header) if header else FIRST_WAIT * 2**attempt
    return wait if wait <= MAX_WAIT else None


def retry_after(header: str) -> float:
    """Return the seconds of a Retry-After header, which may be a date; 1 where it is neither."""
    if header.isdecimal():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return 1.0


class Sends(Protocol):
    """A client that returns answers."""

    def send(self, call: Call[T]) -> T:
        """Return the answer to a call."""


class SendsAsync(Protocol):
    """A client that returns awaitables of answers."""

    def send_async(self, call: Call[T]) -> Awaitable[T]:
        """Return an awaitable of the answer to a call."""


class Endpoint(Generic[P, T]):
    """A method of both clients, from a function that returns its Call."""

    def __init__(self, call: Callable[P, Call[T]]) -> None:
        """Remember the function."""
        self._call = call

    @overload
    def __get__(self, client: Sends, owner: Any) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: SendsAsync, owner: Any) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, client: Any, owner: Any) -> Callable[P, Any]:
        """Return the method of a client."""
        send = client.send if hasattr(client, "send") else client.send_async

        @wraps(self._call)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return send(self._call(*args, **kwargs))

        return method


class Endpoints:
    """The methods of both clients."""

    @Endpoint
    @staticmethod
    def forecast(store_id: str, item_id: str, what_if: WhatIf | None = None) -> Call[Forecast]:
        """Return the forecast of one series, all days and quantiles."""
        body = _forecast_body([(store_id, item_id)], what_if=what_if)
        return Call(_first_forecast, "POST", "/v1/forecasts", body)

    @Endpoint
    @staticmethod
    def forecasts(
        series: Iterable[Series] | None = None,
        horizon: int | None = None,
        quantiles: Sequence[float] | None = None,
        what_if: WhatIf | None = None,
    ) -> Call[Forecasts]:
        """Return the forecasts of (store_id, item_id) pairs in their order; default: all series."""
        body = _forecast_body(series, horizon, quantiles, what_if)
        return Call(partial(read, Forecasts), "POST", "/v1/forecasts", body)

    @Endpoint
    @staticmethod
    def orders(store: str | None = None) -> Call[Orders]:
        """Return the newest proposed orders, of one store or of all."""
        params = {"format": "json"} | ({"store": store} if store else {})
        return Call(partial(read, Orders), "GET", "/v1/orders", params=params)

    @Endpoint
    @staticmethod
    def decide(decisions: Iterable[Decision], planner: str | None = None) -> Call[Decisions]:
        """Decide about orders, all or none; `planner`: who decides, where there is no key.

        Raises ProblemError 412 where somebody else decided since the orders were read: a retry
        after a lost answer does so, too. Read the orders again.
        """
        body = {"planner": planner, "decisions": [vars(one) for one in decisions]}
        return Call(partial(read, Decisions), "POST", "/v1/orders/decisions", body)

    @Endpoint
    @staticmethod
    def release(
        release_id: str, planner: str | None = None, store: str | None = None
    ) -> Call[OrderRelease]:
        """Release every approved order; the same `release_id` again releases nothing more."""
        body = {"release_id": release_id, "planner": planner, "store": store}
        return Call(partial(read, OrderRelease), "POST", "/v1/orders/releases", body)

    @Endpoint
    @staticmethod
    def history(store_id: str, item_id: str, days: int = 84) -> Call[History]:
        """Return the last days of one series."""
        path = _path("history", store_id, item_id)
        return Call(partial(read, History), "GET", path, params={"days": days})

    @Endpoint
    @staticmethod
    def receipt(receipt_id: str) -> Call[Receipt]:
        """Return a forecast as it was served."""
        return Call(partial(read, Receipt), "GET", _path("receipts", receipt_id))

    @Endpoint
    @staticmethod
    def model() -> Call[Provenance]:
        """Return which model and data the service uses now."""
        return Call(partial(read, Provenance), "GET", "/v1/model")

    @Endpoint
    @staticmethod
    def record(outcomes: Iterable[Outcome]) -> Call[Recorded]:
        """Record units sold; sending the same again changes nothing."""
        body = {"outcomes": [vars(one) for one in outcomes]}
        return Call(partial(read, Recorded), "POST", "/v1/outcomes", body)


def _first_forecast(plain: Any) -> Forecast:
    return read(Forecasts, plain).forecasts[0]


def _forecast_body(
    series: Iterable[Series] | None,
    horizon: int | None = None,
    quantiles: Sequence[float] | None = None,
    what_if: WhatIf | None = None,
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "series": series and [{"store_id": store, "item_id": item} for store, item in series],
        "horizon": horizon,
        "quantiles": quantiles and list(quantiles),
        "what_if": what_if and vars(what_if),
    }
    return {name: value for name, value in body.items() if value is not None}


def _path(*parts: str) -> str:
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)
