"""`make soak-hostile`: attacks on `salescast serve`, while others ask it for forecasts.

Four attackers send all of `bench/attacks.py` in turns, with short pauses, beside two hundred
connections that never finish their headers. Measured are the memory of the service, and what the
others' requests take with and without attackers.
"""

import socket
import sys
import threading
import time
from collections.abc import Iterator
from statistics import median

import psutil

from bench.attacks import ATTACKS, answer, complaint
from bench.retail import Figure, publish
from bench.serving import PRODUCT, WORKSPACE, Server, measured, servers, started, workspace

ATTACKERS, HELD = 4, 200
ROUNDS, SECONDS, PAUSE = 4, 10.0, 0.05
MEGABYTE = 2**20


class Siege:
    """Attacks in the background, from `begin` to `end`; `wrong`: answers that were not fit."""

    def __init__(self, port: int) -> None:
        """Name the service under attack."""
        self.port, self.wrong, self.sent = port, list[str](), 0
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        """Let the attackers loose."""
        self._over.clear()
        jobs = [*[self._attack] * ATTACKERS, self._hold]
        self._threads = [threading.Thread(target=job, daemon=True) for job in jobs]
        for one in self._threads:
            one.start()

    def end(self) -> None:
        """Call them back."""
        self._over.set()
        for one in self._threads:
            one.join()

    def _attack(self) -> None:
        quick = [(name, attack) for name, attack in ATTACKS.items() if not attack.slow]
        while not self._over.is_set():
            for name, attack in quick:
                if self._over.wait(PAUSE):
                    return
                reason = complaint(attack, answer(self.port, attack))
                self.sent += 1
                if reason:
                    self.wrong.append(f"{name}: {reason}")

    def _hold(self) -> None:
        held = []
        while not self._over.is_set():
            while len(held) < HELD:
                one = socket.create_connection(("127.0.0.1", self.port))
                one.sendall(b"GET /v1/model HTTP/1.1\r\nX-")
                held.append(one)
            self._over.wait(12.0)  # by then the service has closed them
            for one in held:
                one.close()
            held.clear()


def besieged(port: int, server: Server, memory: psutil.Process) -> Iterator[Figure]:
    """Measure turns of peace and siege, and compare."""
    measured(port, server, SECONDS)
    siege, before = Siege(port), memory.memory_info().rss
    most, peace, war = [before], [], []
    for _ in range(ROUNDS):
        peace.append(measured(port, server, SECONDS))
        siege.begin()
        time.sleep(0.5)
        war.append(measured(port, server, SECONDS))
        most.append(memory.memory_info().rss)
        siege.end()
    for line in sorted(set(siege.wrong)):
        print(line, file=sys.stderr)
    quiet, loud = (median(t["took"][int(0.99 * len(t["took"]))] for t in x) for x in (peace, war))
    failed = sum(turn["failed"] for turn in war)
    yield Figure("attacks sent", siege.sent, "")
    yield Figure("answers that were no 4xx problem or clean close", len(siege.wrong), "", "≤ 0")
    yield Figure("others' failed requests", failed, "", "≤ 0")
    yield Figure("memory gained", (max(most) - before) / MEGABYTE, "MB", "≤ 64")
    yield Figure("others' p99, besieged ÷ at peace", loud / quiet, bar="≤ 2")
    yield Figure("others' p99 at peace", 1e3 * quiet, "ms")
    yield Figure("others' p99, besieged", 1e3 * loud, "ms")


def figures() -> list[Figure]:
    """Start the service, besiege it, and return what was measured."""
    settings = workspace()
    server = servers(settings)[PRODUCT]
    with started(server, settings, WORKSPACE / "build" / "hostile.log") as port:
        process = next(
            one for one in psutil.Process().children() if str(port) in " ".join(one.cmdline())
        )
        return list(besieged(port, server, process))


if __name__ == "__main__":
    sys.exit(0 if publish("hostile", figures()) else 1)
