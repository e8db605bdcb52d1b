"""What can be asked of the API, as calls that a client sends, and when to send one again."""

import email.utils
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from salescast.client.answers import (
    Batch,
    Forecasts,
    History,
    Orders,
    Outcome,
    Provenance,
    Receipt,
    Recorded,
    WhatIf,
    read,
)

MAX_WAIT = 60.0  # seconds; a service that asks for more patience is not waited for
FIRST_WAIT = 0.2
PASSING = frozenset({429, 502, 503, 504})
T = TypeVar("T")
Series = tuple[str, str]


class ProblemError(Exception):
    """The service refused: `status`, and its problem after RFC 9457 (`title`, `detail` …)."""

    def __init__(self, answer: httpx.Response) -> None:
        """Read the problem; a body that is none is no reason to fail otherwise."""
        try:
            said = answer.json()
        except ValueError:
            said = {}
        self.problem: Mapping[str, Any] = said if isinstance(said, dict) else {}
        self.status = answer.status_code
        self.title = str(self.problem.get("title", answer.reason_phrase))
        self.detail = str(self.problem.get("detail", ""))
        self.request_id = answer.headers.get("x-request-id")
        super().__init__(f"{self.status} {self.title}: {self.detail}")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and what its answer is."""

    kind: type[T]
    method: str
    path: str
    json: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def answered(self, answer: httpx.Response) -> T:
        """Return what was asked for; raise ProblemError where the service refused."""
        if answer.is_error:
            raise ProblemError(answer)
        return read(self.kind, answer.json())

    def wait(self, answer: httpx.Response | None, tried: int) -> float | None:
        """Return seconds until the next try; None: the answer stands."""
        if answer is not None and answer.status_code not in PASSING:
            return None
        asked = answer.headers.get("retry-after") if answer is not None else None
        wait = _seconds(asked) if asked else FIRST_WAIT * 2**tried
        return wait if wait <= MAX_WAIT else None


def _seconds(asked: str) -> float:
    """Return what Retry-After asks: seconds, or until a date; 1 where it is neither."""
    if asked.isdecimal():
        return float(asked)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
    except ValueError:
        return 1.0


def body_of(
    series: Iterable[Series],
    horizon: int | None = None,
    quantiles: Sequence[float] | None = None,
    what_if: WhatIf | None = None,
) -> dict[str, Any]:
    """Return the body of a request for forecasts."""
    body: dict[str, Any] = {"series": [{"store_id": s, "item_id": i} for s, i in series]}
    rest: dict[str, Any] = {"horizon": horizon, "quantiles": quantiles and list(quantiles)}
    rest["what_if"] = what_if and vars(what_if)
    return body | {name: value for name, value in rest.items() if value is not None}


def _at(*parts: str) -> str:
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def forecasts(*asked: Any, **options: Any) -> Call[Forecasts]:
    """Ask for forecasts."""
    return Call(Forecasts, "POST", "/v1/forecasts", body_of(*asked, **options))


def orders(store: str | None) -> Call[Orders]:
    """Ask for orders."""
    params = {"format": "json"} | ({"store": store} if store else {})
    return Call(Orders, "GET", "/v1/orders", params=params)


def history(store_id: str, item_id: str, days: int) -> Call[History]:
    """Ask for the past of one series."""
    return Call(History, "GET", _at("history", store_id, item_id), params={"days": days})


def receipt(receipt_id: str) -> Call[Receipt]:
    """Ask for a forecast as it was served."""
    return Call(Receipt, "GET", _at("receipts", receipt_id))


def model() -> Call[Provenance]:
    """Ask what is served."""
    return Call(Provenance, "GET", "/v1/model")


def record(outcomes: Iterable[Outcome]) -> Call[Recorded]:
    """Report outcomes."""
    body = {"outcomes": [vars(one) for one in outcomes]}
    return Call(Recorded, "POST", "/v1/outcomes", body)


def start_batch(requests: Iterable[Mapping[str, Any]], key: str | None) -> Call[Batch]:
    """Begin a batch."""
    body = {"requests": [body_of(**one) for one in requests]}
    # A key of its own, so that a second try starts no second batch.
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    return Call(Batch, "POST", "/v1/batches", body, headers=headers)


def batch(batch_id: str) -> Call[Batch]:
    """Ask how far a batch is."""
    return Call(Batch, "GET", _at("batches", batch_id))
