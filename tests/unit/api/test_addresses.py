"""Every id that ingest accepts can be asked for in an address."""

from typing import Annotated
from urllib.parse import quote

import pytest
from fastapi import FastAPI, Path
from fastapi.testclient import TestClient

from api.addresses import EncodedSlashes, PathItemId, PathStoreId


@pytest.fixture
def client() -> TestClient:
    """Return a client of an app that answers with the ids it was asked for."""
    app = FastAPI()
    app.add_middleware(EncodedSlashes)

    @app.get("/v1/{store_id}/{item_id}")
    def show(
        store_id: Annotated[PathStoreId, Path()], item_id: Annotated[PathItemId, Path()]
    ) -> list[str]:
        return [store_id, item_id]

    return TestClient(app)


@pytest.mark.parametrize(
    "store", ["s1", "St/1", "50% off", "a%2Fb", "/", "ä ö?#&=+;:@", "a//b", "..a", "%", "日本/店"]
)
def test_an_id_with_reserved_characters_is_understood(client, store):
    """Percent-encoded, as an address has it; a slash in an id separates nothing."""
    answer = client.get(f"/v1/{quote(store, safe='')}/{quote('A/12', safe='')}?days=1")
    assert answer.json() == [store, "A/12"]


def test_a_slash_that_is_not_encoded_separates(client):
    """Three parts are no series."""
    assert client.get("/v1/a/b/c").status_code == 404
