"""API keys: random, stored as digests, with scopes and an expiry.

A key is `sc_ID_SECRET`. The file holds SHA-256 digests: 256 random bits need no slower hash. Two
live keys may have one name, so that a caller can move from one to the other.
"""

import fcntl
import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from salescast.data import files
from salescast.errors import ConfigError, DataQualityError

SCOPES = ("read", "write", "orders")
PREFIX = "sc"
MAX_LIVE = 2  # keys of one name: the current and the next one


@dataclass(frozen=True)
class Key:
    """A stored key; moments are naive UTC in ISO 8601."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    digest: str
    created_at: str
    expires_at: str
    revoked_at: str | None = None

    def is_live(self, now: datetime) -> bool:
        """Return whether the key gives access at `now`, naive UTC."""
        return self.revoked_at is None and now < datetime.fromisoformat(self.expires_at)


def utc_now() -> datetime:
    """Return now, naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


def digest_of(secret: str) -> str:
    """Return the digest under which the file stores a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def read_keys(path: Path) -> list[Key]:
    """Return every key, oldest first; none where there is no file.

    Raises DataQualityError where the file is damaged.
    """
    try:
        stored = json.loads(path.read_text("utf-8"))
        return [Key(**one | {"scopes": tuple(one["scopes"])}) for one in stored]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise DataQualityError(f"{path}: damaged ({error}); delete it and create keys") from error


def create_key(path: Path, name: str, scopes: Sequence[str], days: int) -> tuple[str, Key]:
    """Add a key that is live for `days`; return the secret, to be shown once, and the stored key.

    Raises ConfigError for an unknown scope or a third live key of the name.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise ConfigError(
            f"unknown scope {', '.join(unknown) or '(none)'}; use {', '.join(SCOPES)}"
        )
    now = utc_now()
    with _changing(path) as keys:
        live = [key.key_id for key in keys if key.name == name and key.is_live(now)]
        if len(live) >= MAX_LIVE:
            raise ConfigError(
                f"{name} has {MAX_LIVE} live keys already; revoke one of them: {', '.join(live)}"
            )
        key_id = secrets.token_hex(4)
        secret = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
        expires = (now + timedelta(days=days)).isoformat()
        ordered = tuple(scope for scope in SCOPES if scope in scopes)
        key = Key(key_id, name, ordered, digest_of(secret), now.isoformat(), expires)
        keys.append(key)
    return secret, key


def revoke_key(path: Path, key_id: str) -> Key:
    """Revoke a key now; a second time changes nothing. Raises ConfigError for an unknown id."""
    with _changing(path) as keys:
        for position, key in enumerate(keys):
            if key.key_id == key_id:
                keys[position] = replace(key, revoked_at=key.revoked_at or utc_now().isoformat())
                return keys[position]
    raise ConfigError(f"no key has the id {key_id}; `salescast keys list` shows all keys")


@contextmanager
def _changing(path: Path) -> Iterator[list[Key]]:
    """Yield the keys to change; write them in one step, readable only by the owner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = read_keys(path)
        before = list(keys)
        yield keys
        if keys != before:
            text = json.dumps([asdict(key) for key in keys], indent=1)
            files.replace(path, partial(_write_private, text))


def _write_private(text: str, path: Path) -> None:
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")
