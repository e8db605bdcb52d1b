"""Progress on stderr: a line in place on a terminal, else one log line a minute.

What is done at the moment is the latest message to the logger `salescast.steps`, at DEBUG.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY_SECONDS = 60.0

steps = logging.getLogger("salescast.steps")
lines = logging.getLogger("salescast.progress")


_shown: list[threading.Event] = []


class _Latest(logging.Handler):
    """Keeps the latest message."""

    message = "running"

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message of a record."""
        self.message = record.getMessage()


@contextmanager
def progress(name: str) -> Iterator[None]:
    """Show the name, the seconds since the start and the latest step until the block ends.

    One is shown at a time: a new one ends those around it.
    """
    latest, done, start = _Latest(), threading.Event(), time.monotonic()

    def line() -> str:
        return f"{name:9} {time.monotonic() - start:5.0f} s  {latest.message} …"

    steps.setLevel(logging.DEBUG)
    steps.propagate = False
    lines.setLevel(logging.INFO)
    steps.addHandler(latest)
    for around in _shown:
        around.set()
    _shown.append(done)
    thread = threading.Thread(target=_show, args=(line, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        _shown.remove(done)
        thread.join()
        steps.removeHandler(latest)


def _show(line: Callable[[], str], done: threading.Event) -> None:
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        while not done.wait(EVERY_SECONDS):
            lines.info(line())
        return
    if done.wait(1.0):  # a short stage would only flicker
        return
    with console.status(line()) as status:
        while not done.wait(0.5):
            status.update(line())
