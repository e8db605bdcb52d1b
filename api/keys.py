"""Keys of the API's callers: random, kept as digests, with scopes and an end.

A key reads `sc_ID_SECRET`. The file holds SHA-256 digests: 256 random bits need no slower hash. Two
live keys may bear one name, so that a caller can move from one to the other.
"""

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from salescast.errors import ConfigError, DataQualityError

SCOPES = ("read", "write")
PREFIX = "sc"
LIVE = 2  # keys of one name: the one in use and the one to come


@dataclass(frozen=True)
class Key:
    """What is known of a key; moments are naive UTC in ISO 8601."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    digest: str
    created_at: str
    expires_at: str
    revoked_at: str | None = None

    def lives(self, now: datetime) -> bool:
        """Tell whether the key opens anything at `now`, naive UTC."""
        return self.revoked_at is None and now < datetime.fromisoformat(self.expires_at)


def utc_now() -> datetime:
    """Return now, naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


def digest_of(secret: str) -> str:
    """Return what the file keeps of a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def read_keys(path: Path) -> list[Key]:
    """Return every key, oldest first; none where there is no file.

    Raises DataQualityError where the file is damaged.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
        return [Key(**one | {"scopes": tuple(one["scopes"])}) for one in found]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise DataQualityError(f"{path}: damaged ({error}); delete it and create keys") from error


def create_key(path: Path, name: str, scopes: Sequence[str], days: int) -> tuple[str, Key]:
    """Add a key that lives so many days; return it, to be shown once, and what is known of it.

    Raises ConfigError for an unknown scope or a third live key of the name.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise ConfigError(f"unknown scope {', '.join(unknown) or '(none)'}; there are {SCOPES}")
    now = utc_now()
    with _changing(path) as keys:
        live = [key.key_id for key in keys if key.name == name and key.lives(now)]
        if len(live) >= LIVE:
            raise ConfigError(
                f"{name} has {LIVE} live keys already; revoke one of them: {', '.join(live)}"
            )
        key_id = secrets.token_hex(4)
        secret = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
        expires = (now + timedelta(days=days)).isoformat()
        ordered = tuple(scope for scope in SCOPES if scope in scopes)
        made = Key(key_id, name, ordered, digest_of(secret), now.isoformat(), expires)
        keys.append(made)
    return secret, made


def revoke_key(path: Path, key_id: str) -> Key:
    """End a key now; doing it again changes nothing. Raises ConfigError for an unknown id."""
    with _changing(path) as keys:
        for place, key in enumerate(keys):
            if key.key_id == key_id:
                ended = replace(key, revoked_at=key.revoked_at or utc_now().isoformat())
                keys[place] = ended
                return ended
    raise ConfigError(f"no key has the id {key_id}; `salescast keys list` shows them")


@contextmanager
def _changing(path: Path) -> Iterator[list[Key]]:
    """Yield the keys to change; they are written in one step, readable by nobody else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = read_keys(path)
        before = list(keys)
        yield keys
        if keys != before:
            _write(path, keys)


def _write(path: Path, keys: Sequence[Key]) -> None:
    part = path.with_suffix(f".{os.getpid()}")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123 - born private
        json.dump([asdict(key) for key in keys], file, indent=1)
    part.replace(path)
