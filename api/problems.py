"""What went wrong, as RFC 9457 problems: the one table from errors to HTTP statuses.

A problem never repeats what was sent, and what went wrong inside stays in the log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import takewhile
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from api import records, schemas
from salescast import errors
from salescast.errors import SalescastError

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 10
MAX_TEXT = 300


@dataclass(frozen=True)
class Kind:
    """How a class of errors is answered. `retry_after`: seconds, where trying again may help.

    An empty `detail` means the message itself, of errors that only the API raises.
    """

    slug: str
    status: int
    title: str
    detail: str
    retry_after: int | None = None


KINDS: Mapping[type[SalescastError], Kind] = {
    SalescastError: Kind(
        "internal-error", 500, "Internal error", "The cause is in the log of the service."
    ),
    errors.ConfigError: Kind(
        "misconfigured", 500, "Misconfigured", "The log of the service names the key and the fix."
    ),
    errors.DataQualityError: Kind(
        "bad-data",
        503,
        "The stored data cannot be used",
        "Data or model are missing or damaged; the log of the service names the file.",
        30,
    ),
    errors.NotEnoughHistoryError: Kind(
        "not-enough-history", 503, "Not enough history", "There are too few days to forecast.", 30
    ),
    errors.UnknownSeriesError: Kind("unknown-series", 404, "Unknown series", ""),
    errors.UnknownReceiptError: Kind(
        "unknown-receipt", 404, "Unknown receipt", "No served forecast carries this receipt."
    ),
    errors.ReceiptNotRebuilt: Kind(
        "receipt-not-rebuilt", 409, "Not rebuilt", "`salescast receipt ID --replay` says why."
    ),
    errors.NoChampionError: Kind(
        "no-champion",
        503,
        "No champion",
        "No model has been promoted yet; run `salescast train`, then `salescast promote`.",
        5,
    ),
    errors.GateRefused: Kind(
        "gate-refused", 409, "Refused by the gate", "The gate's decision lists the failed checks."
    ),
    errors.PromotionConflict: Kind(
        "promotion-conflict", 409, "Another promotion came first", "Look at who serves now."
    ),
    errors.ProbeFailed: Kind(
        "probe-failed", 409, "The release does not answer as it should", "It was rolled back."
    ),
    errors.FeedUnavailableError: Kind(
        "feed-unavailable", 503, "A source of data does not answer", "Try again later.", 30
    ),
    errors.StoreUnavailableError: Kind(
        "store-unavailable",
        503,
        "Not ready",
        "The service is starting, or its registry, ledger or disk does not answer; try again.",
        5,
    ),
}

INVALID = "invalid-request"
NAMES = frozenset(
    name
    for module in (schemas, records)
    for model in vars(module).values()
    if isinstance(model, type) and issubclass(model, BaseModel)
    for name in model.model_fields
) | {"receipt_id", "batch_id", "idempotency-key"}
"""What a pointer may repeat: names of ours."""

STATUSES: dict[int, str] = {
    400: "The body is not valid JSON.",
    401: "Send a key: Authorization: Bearer sc_…; `salescast keys create` makes one.",
    403: "This key may not do that; `salescast keys list` shows what it may.",
    404: "There is nothing at this address; /docs lists what there is.",
    405: "The method is not allowed here; the header Allow lists those that are.",
    408: "The body did not come in time.",
    409: "The Idempotency-Key stands for another request already.",
    413: "The body is larger than allowed.",
    415: "Send application/json, UTF-8, without content encoding.",
    421: "The service is not called by this name; see serving.allowed_hosts.",
    422: "Some values are not what was expected; see errors.",
    429: "Too many requests; the header Retry-After says when to come back.",
    431: "Address and headers are larger than 16 KiB.",
    500: "The cause is in the log of the service, under the X-Request-ID of this answer.",
}


def problem(
    status: int,
    detail: str,
    title: str = "",
    slug: str = "",
    headers: Mapping[str, str] | None = None,
    complaints: Sequence[Mapping[str, str]] = (),
) -> JSONResponse:
    """Return a problem response. Without a slug its type is about:blank: the status says it all."""
    body: dict[str, Any] = {
        "type": f"/docs#{slug}" if slug else "about:blank",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail[:MAX_TEXT],
    }
    if complaints:
        body["errors"] = list(complaints)[:MAX_ERRORS]
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


def of_error(error: SalescastError) -> JSONResponse:
    """Return the problem of an error of ours."""
    kind = KINDS[type(error)]
    retry = {"Retry-After": str(kind.retry_after)} if kind.retry_after else None
    return problem(kind.status, kind.detail or str(error), kind.title, kind.slug, retry)


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem."""
    app.add_exception_handler(SalescastError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _ours(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SalescastError)
    return of_error(error)


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = STATUSES.get(error.status_code, HTTPStatus(error.status_code).phrase)
    return problem(error.status_code, detail, headers=error.headers)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = [_complaint(one) for one in error.errors()[:MAX_ERRORS]]
    return problem(422, STATUSES[422], "Invalid request", INVALID, complaints=found)


def _is_ours(part: object) -> bool:
    """Tell whether a part of a path is no name that the sender made up."""
    return isinstance(part, int) or part in NAMES


def _complaint(one: Mapping[str, Any]) -> dict[str, str]:
    where, *path = one["loc"]
    message = str(one["msg"])
    if one["type"] == "extra_forbidden":
        message = "There is a name here that is not known"
    pointer = "".join(f"/{part}" for part in takewhile(_is_ours, path))
    return {"in": str(where), "pointer": pointer, "detail": message[:MAX_TEXT]}
