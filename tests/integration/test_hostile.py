"""What no friend sends is answered with a small problem or a closed connection, and life goes on.

`make soak-hostile` does it while others are served, and watches their patience and the memory.
"""

import httpx
import pytest

import api.guard
from bench.attacks import ATTACKS, answer, complaint
from tests.serving import make_app, served


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Return the address of an API that has no patience."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.guard, "BODY_SECONDS", 0.2)
        patch.setattr(api.guard, "HEAD_SECONDS", 0.2)
        with served(make_app(tmp_path_factory.mktemp("hostile"))) as url:
            yield url


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_is_refused_and_the_next_caller_served(url, attack):
    """As the reference says, and small."""
    port = int(url.rpartition(":")[2])

    assert complaint(attack, answer(port, attack)) == ""
    assert httpx.get(f"{url}/healthz/ready").status_code == 200
