"""Ids with a slash in an address: an encoded slash belongs to the id, it separates no parts."""

import re
from typing import Annotated
from urllib.parse import quote, unquote

from pydantic import BeforeValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from api.schemas import ItemId, StoreId

SLASH = "\ue000"  # of the private use area: it stands for a slash while the route is chosen


class EncodedSlashes:
    """Middleware that keeps `%2F` out of the choice of a route; servers decode it too early."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the request, its path decoded but for the encoded slashes."""
        raw = scope.get("raw_path") or b""
        if scope["type"] == "http" and b"%2f" in raw.lower():
            kept = re.sub("%2f", quote(SLASH), raw.decode("ascii"), flags=re.IGNORECASE)
            scope = {**scope, "path": unquote(kept)}
        await self.app(scope, receive, send)


def _with_slashes(value: str) -> str:
    return value.replace(SLASH, "/")


PathStoreId = Annotated[StoreId, BeforeValidator(_with_slashes)]
PathItemId = Annotated[ItemId, BeforeValidator(_with_slashes)]
