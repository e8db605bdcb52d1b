"""Many requests answered later. A batch is a file in `build/batches` that any process can show."""

import asyncio
import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path as File
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api import records, schemas
from api.deps import Current, StrictRoute, json_only
from api.openapi import problems
from api.routes import check, forecasts
from api.snapshot import Snapshot, encode

v1 = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["batches"])
MAX_WAITING = 8
MAX_SERIES = 5000  # in one batch: some 30 MB of answers
KEPT_SECONDS = 24 * 3600
LOST_SECONDS = 600  # without a sign of life: the process that worked on it has ended
JSON = "application/json"


class Batches:
    """The batches of a workspace, and those that this process works on, one after another."""

    def __init__(self, folder: File) -> None:
        """Name the folder; it is made with the first batch."""
        self._folder = folder
        self._waiting: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    def path(self, batch_id: str) -> File:
        """Return where a batch lies, or would."""
        return self._folder / f"{batch_id}.json"

    def begin(self, batch_id: str, digest: str) -> bool:
        """Take a new batch in; return False where the same was taken in before.

        Raises HTTPException 409 where the id stands for another request.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in self._folder.glob("*.*"):
            with suppress(FileNotFoundError):  # another process clears away as well
                if time.time() - old.stat().st_mtime > KEPT_SECONDS:
                    old.unlink()
        try:
            self._tag(batch_id).touch(exist_ok=False)
        except FileExistsError:
            if self._tag(batch_id).read_text("utf-8") not in ("", digest):
                raise HTTPException(409) from None
            return bool(self.state(batch_id)["status"] == "failed")
        self._tag(batch_id).write_text(digest, "utf-8")
        return True

    def _tag(self, batch_id: str) -> File:
        return self._folder / f"{batch_id}.request"

    def write(self, batch_id: str, status: str, detail: str | None, answers: bytes) -> None:
        """Write how far a batch is, in one step."""
        head = {"batch_id": batch_id, "status": status, "detail": detail}
        body = encode(head)[:-1] + b',"answers":' + answers + b"}"
        part = self.path(batch_id).with_suffix(f".{os.getpid()}")
        part.write_bytes(body)
        part.replace(self.path(batch_id))

    def state(self, batch_id: str) -> dict[str, Any]:
        """Return how far a batch is, without its answers; an unfinished one may be lost."""
        path = self.path(batch_id)
        with path.open("rb") as file:
            head = file.read(300).partition(b',"answers":')[0]
        found: dict[str, Any] = json.loads(head + b"}")
        silent = time.time() - path.stat().st_mtime > LOST_SECONDS
        if silent and found["status"] in ("queued", "running"):
            found |= {"status": "failed", "detail": "the service ended meanwhile; send it anew"}
        return found

    @property
    def full(self) -> bool:
        """Tell whether no more may wait."""
        return len(self._waiting) >= MAX_WAITING

    def start(
        self,
        batch_id: str,
        current: Callable[[], Snapshot],
        asked: Sequence[schemas.ForecastRequest],
    ) -> None:
        """Work on a batch as soon as those before it are done."""
        task = asyncio.create_task(self._work(batch_id, current, asked))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _work(
        self,
        batch_id: str,
        current: Callable[[], Snapshot],
        asked: Sequence[schemas.ForecastRequest],
    ) -> None:
        async with self._turn:
            try:
                await run_in_threadpool(self.write, batch_id, "running", None, b"null")
                snapshot = current()  # one for all: no batch mixes two versions
                found = [await forecasts(snapshot, one) for one in asked]
                answers = b"[" + b",".join(found) + b"]"
                await run_in_threadpool(self.write, batch_id, "done", None, answers)
            except Exception:
                why = "it could not be answered; the log of the service names the cause"
                await run_in_threadpool(self.write, batch_id, "failed", why, b"null")
                raise


async def kept(request: Request) -> Batches:
    """Return the batches of the application."""
    found: Batches = request.app.state.batches
    return found


Kept = Annotated[Batches, Depends(kept)]


_LINK = {
    "state": {
        "operationId": "show_batch_v1_batches__batch_id__get",
        "parameters": {"batch_id": "$response.body#/batch_id"},
        "description": "How far it is.",
    }
}


@v1.post(
    "/batches",
    status_code=202,
    response_model=records.Batch,
    responses={202: {"links": _LINK}, **problems(400, 404, 409, 413, 415, 422, 500, 503)},
    dependencies=[Depends(json_only)],
)
async def start_batch(
    asked: records.BatchRequest,
    request: Request,
    snapshot: Current,
    batches: Kept,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            pattern="^[A-Za-z0-9_.:-]{1,100}$",
            description="The same key again starts nothing; other content under it is refused.",
        ),
    ] = None,
) -> Response:
    """Take in a batch; `Location` says where its answers will be."""
    for place, one in enumerate(asked.requests):
        check(snapshot, one, ("body", "requests", place))
    if sum(len(one.series) for one in asked.requests) > MAX_SERIES:
        message = f"at most {MAX_SERIES} series can be asked for in one batch"
        raise RequestValidationError(
            [{"loc": ("body", "requests"), "msg": message, "type": "long"}]
        )
    if batches.full:
        raise HTTPException(503, headers={"Retry-After": "10"})
    caller = request.scope.get("caller", "")
    name = f"{caller}|{key}" if key else uuid.uuid4().hex
    batch_id = hashlib.sha256(name.encode()).hexdigest()[:20]
    digest = hashlib.sha256(asked.model_dump_json().encode()).hexdigest()
    if await run_in_threadpool(batches.begin, batch_id, digest):
        await run_in_threadpool(batches.write, batch_id, "queued", None, b"null")
        batches.start(batch_id, request.app.state.serving.current, asked.requests)
    state = await run_in_threadpool(batches.state, batch_id)
    where = {"Location": f"/v1/batches/{batch_id}"}
    return Response(encode(state | {"answers": None}), 202, where, JSON)


@v1.get(
    "/batches/{batch_id}",
    response_model=records.Batch,
    responses=problems(404, 422, 500, 503),
)
async def show_batch(
    batch_id: Annotated[str, Path(pattern="^[0-9a-f]{20}$", examples=["5d41402abc4b2a76b971"])],
    batches: Kept,
) -> Response:
    """Show how far a batch is, and its answers once it is done. It is kept for a day."""
    body = await run_in_threadpool(_shown, batches, batch_id)
    if body is None:
        raise HTTPException(404)
    return Response(body, media_type=JSON)


def _shown(batches: Batches, batch_id: str) -> bytes | None:
    try:
        state = batches.state(batch_id)
        if state["status"] == "done":
            return batches.path(batch_id).read_bytes()
    except FileNotFoundError:
        return None
    return encode(state | {"answers": None})
