"""Reading what may have been tampered with: whole, bounded, no links, and JSON that is strict."""

import json
import os
import stat
from pathlib import Path
from typing import Any, NoReturn

from salescast.errors import DataQualityError

MAX_FILE_BYTES = 32 * 2**20


def read_bytes(path: Path, most: int = MAX_FILE_BYTES) -> bytes:
    """Return a regular file's content.

    Raises DataQualityError where it is missing, a link, a device or larger than `most` bytes.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise DataQualityError(f"{path}: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise DataQualityError(f"{path}: not a regular file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise DataQualityError(f"{path}: {error.strerror}") from error
    finally:
        os.close(handle)
    if len(content) > most:
        raise DataQualityError(f"{path}: larger than {most:,} bytes")
    return content


def as_json(content: bytes) -> Any:
    """Return the value of JSON; raise ValueError for repeated names, NaN and bottomless nesting."""
    try:
        return json.loads(content, object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it nests too deep") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is repeated")
    return found


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
