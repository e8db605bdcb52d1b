"""What routes depend on: the current snapshot, the ledger, and bodies of strict JSON."""

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any, NoReturn

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from api.model_inputs import Key
from api.snapshot import Snapshot
from salescast.errors import StoreUnavailableError, UnknownSeriesError
from salescast.ledger.ledger import Ledger

EXACT = 2**53  # every integer below it is one float
MAX_NAMED = 10


async def current_snapshot(request: Request) -> Snapshot:
    """Return the current snapshot; one request uses one snapshot."""
    snapshot: Snapshot = request.app.state.serving.current()
    return snapshot


async def ready_snapshot(request: Request) -> Snapshot:
    """Return the current snapshot; raise StoreUnavailableError when the process is about to end."""
    if request.app.state.draining.is_set():
        raise StoreUnavailableError("this process is about to end; call another one")
    return await current_snapshot(request)


async def require_json(request: Request) -> None:
    """Raise 415 unless the headers say that the body is plain JSON."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoded = request.headers.get("content-encoding", "identity").lower() != "identity"
    if media != "application/json" or encoded:
        raise HTTPException(415)


async def ledger_of(request: Request) -> Ledger:
    """Return the ledger. It blocks: call it in a thread."""
    ledger: Ledger = request.app.state.ledger
    return ledger


CurrentSnapshot = Annotated[Snapshot, Depends(current_snapshot)]
ReadySnapshot = Annotated[Snapshot, Depends(ready_snapshot)]
CurrentLedger = Annotated[Ledger, Depends(ledger_of)]


class StrictRequest(Request):
    """A request whose JSON has no NaN, no repeated names and no excessive nesting."""

    async def json(self) -> Any:
        """Return the body; raise 400 where it is not JSON (RFC 8259), 415 where it is encoded."""
        await require_json(self)
        body = await self.body()
        try:
            return json.loads(
                body,
                object_pairs_hook=_unique_names,
                parse_constant=_refuse_constant,
                parse_float=_number,
            )
        except (ValueError, RecursionError):
            raise HTTPException(400) from None


class StrictRoute(APIRoute):
    """A route that reads its body as strict JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler with a StrictRequest."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return handle_strictly


def require_known(snapshot: Snapshot, keys: Sequence[Key]) -> None:
    """Raise UnknownSeriesError with the positions of unknown series; never repeat the request."""
    unknown = [str(number) for number, key in enumerate(keys, 1) if key not in snapshot.forecasts]
    if unknown:
        rest = len(unknown) - MAX_NAMED
        named = ", ".join(unknown[:MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")
        raise UnknownSeriesError(
            f"Unknown series: number {named} of {len(keys)}. GET /v1/series lists all series."
        )


def refuse(errors: Sequence[Mapping[str, Any]]) -> None:
    """Raise RequestValidationError if there are errors; each has `loc`, `msg` and `type`."""
    if errors:
        raise RequestValidationError(errors)


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name is repeated")
    return values


def _number(text: str) -> float:
    """Return a number; 7.0 is the integer 7 (JSON Schema)."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < EXACT else number


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")
