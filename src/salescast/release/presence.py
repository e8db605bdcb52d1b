"""Notes that services leave beside the releases: which one each process serves."""

import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from salescast.data.strict import as_json, read_bytes
from salescast.errors import DataQualityError

FRESH_SECONDS = 20.0  # renewed every second, but not while new answers are made


class Note:
    """The note of this process."""

    def __init__(self, folder: Path) -> None:
        """Name the folder of the releases; nothing is written yet."""
        self._path = folder / ".serving" / f"{socket.gethostname()}-{os.getpid()}.json"

    def write(self, said: Mapping[str, Any]) -> None:
        """Say what this process serves; where the folder cannot be written, nobody is told."""
        part = self._path.with_suffix(".part")
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps({**said, "pid": os.getpid()}), encoding="utf-8")
            part.replace(self._path)

    def remove(self) -> None:
        """Take the note away."""
        with suppress(OSError):
            self._path.unlink()


def present(folder: Path) -> list[dict[str, Any]]:
    """Return the notes of the processes that serve now."""
    found = []
    for path in sorted((folder / ".serving").glob("*.json")):
        with suppress(DataQualityError, ValueError, OSError):
            note = as_json(read_bytes(path, 2**16))
            if time.time() - path.stat().st_mtime < FRESH_SECONDS and _alive(path, note["pid"]):
                found.append(note)
    return found


def _alive(path: Path, pid: int) -> bool:
    """Tell whether a process lives; of another host we know only how fresh its note is."""
    if not path.name.startswith(f"{socket.gethostname()}-"):
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it lives
        return True
    return True
