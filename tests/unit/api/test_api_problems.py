"""Every error has its status, and the reference page explains it."""

import inspect
import json
import re

import pytest

from api import problems, reference
from api.guard import MAX_BODY_BYTES
from api.main import create_app
from api.schemas import Problem
from salescast import errors
from tests.conftest import ROOT

FAMILY = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.SalescastError)
]


@pytest.fixture(scope="module")
def document():
    """Return the OpenAPI document."""
    from salescast.settings import read_settings

    return create_app(read_settings(ROOT / "config.toml")).openapi()


def test_each_error_has_a_status_of_its_own():
    """The table covers the family, no more and no less."""
    assert set(problems.KINDS) == set(FAMILY)


@pytest.mark.parametrize("kind", FAMILY, ids=lambda kind: kind.__name__)
def test_each_error_is_a_valid_problem(kind):
    """Type, title, status and detail, and nothing else."""
    answer = problems.of_error(kind("what happened"))
    problem = Problem.model_validate_json(answer.body, extra="forbid")
    assert (problem.status, answer.media_type) == (answer.status_code, problems.MEDIA_TYPE)


@pytest.mark.parametrize("kind", FAMILY, ids=lambda kind: kind.__name__)
def test_what_may_pass_says_when_to_try_again(kind):
    """503 and Retry-After go together."""
    answer = problems.of_error(kind("what happened"))
    assert ("retry-after" in answer.headers) == (answer.status_code == 503)


@pytest.mark.parametrize(
    "kind", sorted(set(FAMILY) - {errors.UnknownSeriesError}, key=str), ids=lambda k: k.__name__
)
def test_what_went_wrong_inside_stays_inside(kind):
    """Messages name files, URLs and values; those are for the log."""
    assert b"secret" not in problems.of_error(kind("secret")).body


def test_a_long_detail_is_capped():
    """No error answer is larger than what was asked."""
    body = json.loads(problems.of_error(errors.UnknownSeriesError("x" * 10_000)).body)
    assert len(body["detail"]) == problems.MAX_TEXT


def test_the_reference_explains_each_type_of_problem(document):
    """The link in `type` leads to a row of the page."""
    page = reference.render(document, "http://127.0.0.1:8000")
    slugs = {kind.slug for kind in problems.KINDS.values()} | {problems.INVALID}
    assert slugs <= set(re.findall(r'id="([a-z-]+)"', page))


def test_the_reference_loads_nothing(document):
    """It works without the internet: no script, no image, no style from elsewhere."""
    page = reference.render(document, "http://127.0.0.1:8000")
    assert not re.search(r"<script|<link|<img|src=|@import|url\(", page)


def test_the_reference_escapes_what_it_shows(document):
    """A name from config.toml is text, not HTML."""
    evil = document | {"info": document["info"] | {"title": "<script>alert(1)</script>"}}
    assert "<script" not in reference.render(evil, "http://127.0.0.1:8000")


def operations(document):
    """Return every operation of the document with its name."""
    return {
        f"{method} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_each_operation_has_examples(document):
    """What is sent and what comes back, for each of them."""
    schemas = document["components"]["schemas"]
    bare = []
    for name, operation in operations(document).items():
        answers = operation["responses"]
        contents = [answers[status]["content"] for status in answers if status[0] == "2"]
        contents += [operation["requestBody"]["content"]] if "requestBody" in operation else []
        for content in contents:
            schema = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
            bare += [] if schemas[schema].get("examples") else [name]
    assert bare == []


def test_each_error_of_an_operation_is_documented_as_a_problem(document):
    """FastAPI's own error format appears nowhere."""
    foreign = [
        (name, status)
        for name, operation in operations(document).items()
        for status, response in operation["responses"].items()
        if status[0] != "2" and list(response["content"]) != [problems.MEDIA_TYPE]
    ]
    assert foreign == []
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_examples_are_valid():
    """An example that is copied works."""
    from pydantic import BaseModel

    from api import schemas

    models = [m for _, m in inspect.getmembers(schemas, inspect.isclass)]
    for model in models:
        if issubclass(model, BaseModel) and model is not BaseModel:
            for example in (model.model_config.get("json_schema_extra") or {}).get("examples", []):
                model.model_validate(example)


def test_the_written_reference_names_each_operation_status_and_limit(document):
    """docs/reference/api.md cannot fall behind."""
    text = (ROOT / "docs/reference/api.md").read_text("utf-8")
    named = {f"{m.lower()} {p}" for m, p in re.findall(r"^\| `([A-Z]+) (\S+)` \|", text, re.M)}
    statuses = {int(found) for found in re.findall(r"^\| (\d{3}) \|", text, re.M)}
    assert named == set(operations(document))
    assert statuses == {503, *problems.STATUSES}
    assert f"{MAX_BODY_BYTES // 1024} KiB" in text
