"""What routes depend on: the snapshot of the moment, and bodies that are strictly JSON."""

import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, NoReturn

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from api.snapshot import Snapshot
from salescast.errors import StoreUnavailableError
from salescast.ledger.ledger import Ledger

EXACT = 2**53  # below it each integer is a float of its own


async def current(request: Request) -> Snapshot:
    """Return what is served now; one request sees one snapshot."""
    snapshot: Snapshot = request.app.state.serving.current()
    return snapshot


async def ready(request: Request) -> Snapshot:
    """Return what is served now; raise StoreUnavailableError once the process is to end."""
    if request.app.state.draining.is_set():
        raise StoreUnavailableError("this process is about to end; ask another one")
    return await current(request)


async def json_only(request: Request) -> None:
    """Refuse a body that is not plain JSON by its own headers."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoded = request.headers.get("content-encoding", "identity").lower() != "identity"
    if media != "application/json" or encoded:
        raise HTTPException(415)


async def books(request: Request) -> Ledger:
    """Return the ledger: it blocks, so ask it in a thread."""
    ledger: Ledger = request.app.state.ledger
    return ledger


Current = Annotated[Snapshot, Depends(current)]
Books = Annotated[Ledger, Depends(books)]
Ready = Annotated[Snapshot, Depends(ready)]


class StrictRequest(Request):
    """A request whose JSON has no NaN, no repeated names and no bottomless nesting."""

    async def json(self) -> Any:
        """Return the body; raise 400 where it is not JSON as RFC 8259 means it."""
        body = await self.body()
        try:
            return json.loads(
                body, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_number
            )
        except (ValueError, RecursionError):
            raise HTTPException(400) from None


class StrictRoute(APIRoute):
    """A route that reads its body strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler, given the stricter request."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strictly


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is repeated")
    return found


def _number(text: str) -> float:
    """Return a number; 7.0 is the integer 7, as JSON Schema has it."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < EXACT else number


def _refuse(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")
