"""Access control: host names, keys, scopes and a rate limit for each caller.

Off on loopback, on elsewhere; `[serving]` in config.toml can change that.
"""

import base64
import ipaddress
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import Scope

from api.keys import Key, digest_of, read_keys, utc_now
from salescast.errors import DataQualityError
from salescast.settings import Serving

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
REREAD_SECONDS = 1.0  # a revoked key stops working within this time
MAX_CALLERS = 10_000  # remembered; beyond it the least recent one is forgotten
WRITING = ("/v1/outcomes", "/v1/alarms/")  # paths that begin so need the scope write


class Refused(Exception):  # noqa: N818 - the name is the verdict
    """A request without access: the status and headers of its answer."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        """Remember the answer."""
        super().__init__(status)
        self.status, self.headers = status, headers


@dataclass
class Access:
    """The access rules of one process. `hosts` None: any; `per_minute` 0: no limit."""

    keys: Path
    protected: bool
    hosts: frozenset[str] | None
    per_minute: int
    _by_digest: dict[str, Key] = field(default_factory=dict)
    _read: tuple[float, int] = (-math.inf, 0)  # when, and the file's time stamp
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def admit(self, scope: Scope, headers: Headers, now: float) -> dict[str, str]:
        """Return the rate-limit headers; raise Refused for a request without access.

        `now`: seconds of a monotonic clock. `scope["caller"]` is set to the caller.
        """
        if self.hosts is not None and _host(headers.get("host", "")) not in self.hosts:
            raise Refused(421, {})
        path = scope["path"]
        if not self.protected or not path.startswith(("/v1", "/metrics", "/reports")):
            return {}
        address = (scope.get("client") or ("unknown",))[0]
        key = self._key(headers.get("authorization", ""), now)
        scope["caller"] = f"key {key.key_id}" if key else f"address {address}"
        limits = self._spend(scope["caller"], now)
        if key is None:
            # A browser that follows a link to a report can only ask for a password: the key.
            scheme = 'Basic realm="key"' if path.startswith("/reports") else "Bearer"
            raise Refused(401, limits | {"WWW-Authenticate": scheme})
        scope["key_name"] = key.name
        if _required_scope(scope["method"], path) not in key.scopes:
            raise Refused(403, limits)
        return limits

    def _key(self, authorization: str, now: float) -> Key | None:
        secret = _secret(authorization)
        if now - self._read[0] > REREAD_SECONDS:
            self._reread(now)
        key = self._by_digest.get(digest_of(secret))
        return key if key and key.is_live(utc_now()) else None

    def _reread(self, now: float) -> None:
        stamp = self.keys.stat().st_mtime_ns if self.keys.exists() else 0
        if stamp != self._read[1]:
            try:
                self._by_digest = {key.digest: key for key in read_keys(self.keys)}
            except DataQualityError:
                self._by_digest = {}  # a damaged file gives no access
        self._read = now, stamp

    def _spend(self, caller: str, now: float) -> dict[str, str]:
        """Take one request from the caller's budget, which refills evenly."""
        if not self.per_minute:
            return {}
        rate = self.per_minute / 60.0
        left, since = self._left.pop(caller, (float(self.per_minute), now))
        left = min(self.per_minute, left + rate * (now - since))
        allowed = left >= 1.0
        left -= allowed
        self._left[caller] = left, now
        if len(self._left) > MAX_CALLERS:
            self._left.popitem(last=False)
        headers = {
            "RateLimit-Policy": f'"minute";q={self.per_minute};w=60',
            "RateLimit": f'"minute";r={int(left)};t={math.ceil((self.per_minute - left) / rate)}',
        }
        if not allowed:
            raise Refused(429, headers | {"Retry-After": str(math.ceil((1.0 - left) / rate))})
        return headers


def access(serving: Serving, keys: Path) -> Access:
    """Return the access rules of the settings."""
    local = is_loopback(serving.host)
    protected = not local if serving.protect == "auto" else serving.protect == "on"
    hosts = frozenset(serving.allowed_hosts) or (LOOPBACK if local else frozenset("*"))
    return Access(keys, protected, None if "*" in hosts else hosts, serving.requests_per_minute)


def _secret(authorization: str) -> str:
    """Return the key in an Authorization header: a bearer token, or the password of Basic."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    try:
        decoded = base64.b64decode(value, validate=True).decode()
    except ValueError:
        return ""
    return decoded.partition(":")[2] if scheme.lower() == "basic" else ""


def _required_scope(method: str, path: str) -> str:
    if path.startswith("/v1/orders"):
        return "read" if method in {"GET", "HEAD"} else "orders"
    return "write" if path.startswith(WRITING) else "read"


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host(header: str) -> str:
    """Return the name in a Host header, without its port."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower()
