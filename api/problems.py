"""Errors as RFC 9457 problems: the one table from errors to HTTP statuses.

A problem never repeats what the caller sent, and internal causes stay in the log.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from itertools import takewhile
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.schemas import RequestModel
from salescast import errors
from salescast.errors import SalescastError

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 10
MAX_TEXT = 300


@dataclass(frozen=True)
class Kind:
    """The problem of a class of errors. `retry_after`: seconds, where trying again may help.

    Without `detail` the problem has the error's own message, which is written for callers.
    """

    slug: str
    status: int
    title: str
    detail: str
    retry_after: int | None = None


KINDS: Mapping[type[SalescastError], Kind] = {
    SalescastError: Kind(
        "internal-error", 500, "Internal error", "The log of the service has the cause."
    ),
    errors.ConfigError: Kind(
        "misconfigured", 500, "Misconfigured", "The log of the service names the key and the fix."
    ),
    errors.DataQualityError: Kind(
        "bad-data",
        503,
        "Stored data cannot be used",
        "Data or model are missing or damaged. The log of the service names the file.",
        30,
    ),
    errors.NotEnoughHistoryError: Kind(
        "not-enough-history",
        503,
        "Not enough history",
        "There are too few days of sales to forecast.",
        30,
    ),
    errors.UnknownSeriesError: Kind("unknown-series", 404, "Unknown series", ""),
    errors.UnknownReceiptError: Kind(
        "unknown-receipt", 404, "Unknown receipt", "No served forecast has this receipt."
    ),
    errors.UnknownAlarmError: Kind(
        "unknown-alarm", 404, "Unknown alarm", "GET /v1/alarms lists the alarms and their ids."
    ),
    errors.ReceiptNotRebuilt: Kind(
        "receipt-not-rebuilt",
        409,
        "Not rebuilt",
        "Run `salescast receipt ID --replay` for the reason.",
    ),
    errors.UnknownOrderError: Kind("unknown-order", 404, "Unknown order", ""),
    errors.OrderConflict: Kind("order-changed", 412, "The order has changed", ""),
    errors.OrderRefused: Kind("order-refused", 409, "The order cannot change like this", ""),
    errors.NoChampionError: Kind(
        "no-champion",
        503,
        "No champion",
        "No model has been promoted yet. Run `salescast train`, then `salescast promote`.",
        5,
    ),
    errors.GateRefused: Kind(
        "gate-refused", 409, "Refused by the gate", "The gate's decision lists the failed checks."
    ),
    errors.PromotionConflict: Kind(
        "promotion-conflict", 409, "Another promotion was faster", "Check which version serves now."
    ),
    errors.ProbeFailed: Kind(
        "probe-failed", 409, "The release gives wrong answers", "It was rolled back."
    ),
    errors.FeedUnavailableError: Kind(
        "feed-unavailable", 503, "A data source does not answer", "Try again later.", 30
    ),
    errors.StoreUnavailableError: Kind(
        "store-unavailable",
        503,
        "Not ready",
        "The service is starting, or its ledger or disk does not answer. Try again.",
        5,
    ),
}

INVALID = "invalid-request"
_PARAMETERS = {"receipt_id", "release_id", "if-match"}
STATUSES: dict[int, str] = {
    400: "The body is not valid JSON.",
    401: "Send a key: Authorization: Bearer sc_…. `salescast keys create` makes one.",
    403: "This key lacks the scope. `salescast keys list` shows the scopes of each key.",
    404: "There is nothing at this address. /docs lists all addresses.",
    405: "The method is not allowed here. The header Allow lists the allowed ones.",
    408: "The body did not arrive in time.",
    409: "This is not possible now. `detail` says what is.",
    412: "The order has changed since it was read. Read it again, then decide.",
    413: "The body is larger than allowed.",
    415: "Send application/json, UTF-8, without content encoding.",
    421: "The service has another host name. Add this one to serving.allowed_hosts.",
    422: "Some values are invalid. `errors` lists them.",
    428: "Send the header If-Match with the ETag of the order.",
    429: "Too many requests. The header Retry-After says when to try again.",
    431: "Address and headers are larger than 16 KiB.",
    500: "The log of the service has the cause, under the X-Request-ID of this answer.",
}


def problem(
    status: int,
    detail: str,
    title: str = "",
    slug: str = "",
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, str]] = (),
) -> JSONResponse:
    """Return a problem. Without a slug its type is about:blank: the status explains the error."""
    body: dict[str, Any] = {
        "type": f"/docs#{slug}" if slug else "about:blank",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail[:MAX_TEXT],
    }
    if errors:
        body["errors"] = list(errors)
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


def problem_of(error: SalescastError) -> JSONResponse:
    """Return the problem of a SalescastError."""
    kind = KINDS[type(error)]
    retry = {"Retry-After": str(kind.retry_after)} if kind.retry_after else None
    return problem(kind.status, kind.detail or str(error), kind.title, kind.slug, retry)


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem."""
    app.add_exception_handler(SalescastError, _salescast)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _salescast(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SalescastError)
    return problem_of(error)


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = STATUSES.get(error.status_code, HTTPStatus(error.status_code).phrase)
    return problem(error.status_code, detail, headers=error.headers)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    details = [_field_error(one) for one in error.errors()[:MAX_ERRORS]]
    return problem(422, STATUSES[422], "Invalid request", INVALID, errors=details)


def _field_error(error: Mapping[str, Any]) -> dict[str, str]:
    place, *path = error["loc"]
    message = str(error["msg"])
    if error["type"] == "extra_forbidden":
        message = "Unknown field"
    parts = takewhile(lambda part: isinstance(part, int) or part in _field_names(), path)
    pointer = "".join(f"/{part}" for part in parts)
    return {"in": str(place), "pointer": pointer, "detail": message[:MAX_TEXT]}


@cache
def _field_names() -> frozenset[str]:
    """Return the names that a pointer may repeat: fields of requests, not names of the caller."""
    models = subclasses(RequestModel)
    return frozenset(name for model in models for name in model.model_fields) | _PARAMETERS


def subclasses(model: type[RequestModel]) -> Iterator[type[RequestModel]]:
    """Yield every model that derives from `model`."""
    for subclass in model.__subclasses__():
        yield subclass
        yield from subclasses(subclass)
