"""Keys: random, kept as digests, rotated two at a time."""

import stat
from datetime import datetime, timedelta

import pytest

from api.keys import create_key, digest_of, read_keys, revoke_key, utc_now
from salescast.errors import ConfigError, DataQualityError


@pytest.fixture
def path(tmp_path):
    """Where the keys lie."""
    return tmp_path / "build" / "api_keys.json"


def test_a_key_is_kept_as_a_digest_that_only_its_owner_can_read(path):
    """Nobody who reads the file can call the service."""
    secret, made = create_key(path, "planner", ["read"], 30)

    assert secret not in path.read_text("utf-8")
    assert read_keys(path) == [made]
    assert made.digest == digest_of(secret)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_expires(path):
    """It lives until then, and not a second longer."""
    _, made = create_key(path, "planner", ["read"], 30)
    end = datetime.fromisoformat(made.expires_at)

    assert made.is_live(end - timedelta(seconds=1))
    assert not made.is_live(end)


def test_two_keys_of_one_name_live_side_by_side_and_no_third(path):
    """A caller moves to the new key, then the old one is revoked."""
    _, first = create_key(path, "planner", ["read"], 30)
    create_key(path, "planner", ["read"], 30)

    with pytest.raises(ConfigError, match=first.key_id):
        create_key(path, "planner", ["read"], 30)
    revoke_key(path, first.key_id)
    create_key(path, "planner", ["read"], 30)

    assert [key.is_live(utc_now()) for key in read_keys(path)] == [False, True, True]


def test_a_key_is_revoked_once(path):
    """The second time changes nothing."""
    _, made = create_key(path, "planner", ["write", "read"], 30)

    assert revoke_key(path, made.key_id) == revoke_key(path, made.key_id)
    assert read_keys(path)[0].scopes == ("read", "write")


@pytest.mark.parametrize("scopes", [[], ["admin"]], ids=str)
def test_a_scope_nobody_knows_is_refused(path, scopes):
    """And nothing is written."""
    with pytest.raises(ConfigError, match="scope"):
        create_key(path, "planner", scopes, 30)
    assert read_keys(path) == []


def test_an_unknown_key_cannot_be_revoked(path):
    """The message says where to look."""
    with pytest.raises(ConfigError, match="keys list"):
        revoke_key(path, "00000000")


def test_a_damaged_file_is_named(path):
    """With the fix."""
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(DataQualityError, match=r"api_keys\.json: damaged"):
        read_keys(path)
