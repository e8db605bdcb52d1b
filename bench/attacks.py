"""What no friend sends over HTTP, as bytes, and what may come back."""

import gzip
import itertools
import json
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

CLOSED = 0  # in place of a status: the connection ended without an answer
MEGABYTE = 2**20
GIGABYTE = 2**30
PATIENCE = 30.0  # seconds to wait for an answer
PROBLEM = b"application/problem+json"


@dataclass(frozen=True)
class Attack:
    """The parts to send, one after another, and the statuses that are a fit answer."""

    parts: Callable[[], Iterable[bytes]]
    fit: frozenset[int]
    slow: bool = field(default=False, kw_only=True)


def head(target: str = "/v1/forecasts", *lines: str, method: str = "POST") -> bytes:
    """Return the first line and the headers of a request."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


def posted(body: bytes, *lines: str) -> bytes:
    """Return a whole request for forecasts."""
    kind = "Content-Type: application/json"
    return head("/v1/forecasts", kind, f"Content-Length: {len(body)}", *lines) + body


def _streamed() -> Iterator[bytes]:
    yield head("/v1/forecasts", "Content-Type: application/json", "Transfer-Encoding: chunked")
    chunk = b"%x\r\n" % MEGABYTE + b" " * MEGABYTE + b"\r\n"
    yield from itertools.repeat(chunk, GIGABYTE // MEGABYTE)


def _declared() -> Iterator[bytes]:
    yield head("/v1/forecasts", "Content-Type: application/json", f"Content-Length: {GIGABYTE}")
    yield from itertools.repeat(b" " * MEGABYTE, GIGABYTE // MEGABYTE)


def _one(request: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: (request,)


def _json(text: str) -> Callable[[], Iterable[bytes]]:
    return _one(posted(text.encode()))


ASK = '{"series": [{"store_id": "s1", "item_id": "u1"}]'
BOMB = gzip.compress(b" " * 100 * MEGABYTE, 9)
LONG = json.dumps({"series": [{"store_id": "s" * 101, "item_id": "u"}] * 1000})
REFUSED = frozenset({400})
TOO_LARGE = frozenset({400, 431})
ATTACKS: Mapping[str, Attack] = {
    "a gigabyte, declared": Attack(_declared, frozenset({413, CLOSED})),
    "a gigabyte, streamed": Attack(_streamed, frozenset({413, CLOSED})),
    "compressed bomb": Attack(_one(posted(BOMB, "Content-Encoding: gzip")), frozenset({415})),
    "deep JSON": Attack(_json("[" * 200_000), REFUSED),
    "deep JSON, closed": Attack(_json("[" * 100_000 + "]" * 100_000), REFUSED),
    "NaN": Attack(_json(ASK + ', "horizon": NaN}'), REFUSED),
    "Infinity": Attack(_json(ASK + ', "quantiles": [-Infinity]}'), REFUSED),
    "1e999": Attack(_json(ASK + ', "quantiles": [1e999]}'), frozenset({422})),
    "a number of 400,000 digits": Attack(_json(f'{{"horizon": {"9" * 400_000}}}'), REFUSED),
    "a name twice": Attack(_json('{"series": [], "series": []}'), REFUSED),
    "a thousand mistakes": Attack(_json(LONG), frozenset({422})),
    "traversal": Attack(_one(head("/../../../etc/passwd", method="GET")), frozenset({404})),
    "encoded traversal": Attack(
        _one(head("/v1/forecasts/..%2f..%2f..%2fetc/passwd", method="GET")), frozenset({404})
    ),
    "zero byte": Attack(_one(head("/v1/forecasts/s1%00/u1", method="GET")), frozenset({404})),
    "another host": Attack(
        _one(b"GET /v1/model HTTP/1.1\r\nHost: evil.example\r\n\r\n"), frozenset({421})
    ),
    "no host": Attack(_one(b"GET /v1/model HTTP/1.1\r\n\r\n"), REFUSED),
    "two hosts": Attack(_one(head("/v1/model", "Host: evil.example", method="GET")), REFUSED),
    "ten thousand headers": Attack(
        _one(head("/v1/model", *(f"X-{n}: {n}" for n in range(10_000)), method="GET")), TOO_LARGE
    ),
    "a header of a megabyte": Attack(
        _one(head("/v1/model", "X-Long: " + "x" * MEGABYTE, method="GET")), TOO_LARGE
    ),
    "a long address": Attack(_one(head("/" + "a" * 100_000, method="GET")), TOO_LARGE),
    "less than no length": Attack(_one(head("/v1/forecasts", "Content-Length: -1")), REFUSED),
    "two lengths": Attack(
        _one(head("/v1/forecasts", "Content-Length: 1", "Content-Length: 2")), REFUSED
    ),
    "a method nobody knows": Attack(_one(head("/v1/model", method="BREW")), frozenset({405})),
    "no HTTP": Attack(_one(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), REFUSED),
    "slow headers": Attack(_one(b"GET /v1/model HTTP/1.1\r\nX-"), frozenset({CLOSED}), slow=True),
    "slow body": Attack(
        _one(head("/v1/forecasts", "Content-Type: application/json", "Content-Length: 9") + b"{"),
        frozenset({408}),
        slow=True,
    ),
    "nothing at all": Attack(lambda: (), frozenset({CLOSED}), slow=True),
}


def answer(port: int, attack: Attack) -> bytes:
    """Return what comes back, b"" where the connection is closed without a word."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        with suppress(OSError):  # who is refused may be cut off while still sending
            for part in attack.parts():
                connection.sendall(part)
        received = b""
        with suppress(ConnectionError):
            while part := connection.recv(65536):
                received += part
                if _is_whole(received):
                    break
    return received


def _is_whole(received: bytes) -> bool:
    first, _, body = received.partition(b"\r\n\r\n")
    length = first.lower().partition(b"content-length:")[2].partition(b"\r\n")[0].strip()
    return bool(length) and len(body) >= int(length)


def complaint(attack: Attack, received: bytes) -> str:
    """Say what is wrong with an answer; "" where it is fit."""
    status = int(received[9:12]) if received else CLOSED
    if status not in attack.fit:
        return f"answered {status}, not {' or '.join(map(str, sorted(attack.fit)))}"
    if received and PROBLEM not in received:
        return f"{status} without a problem"
    return "" if len(received) < 4096 else f"an answer of {len(received)} bytes"
