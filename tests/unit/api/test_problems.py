"""Every error has its status, and the reference page explains it."""

import inspect
import json
import re

import pytest

from api import openapi, problems
from api.guard import MAX_BODY_BYTES
from api.main import create_app
from api.schemas import Problem, RequestModel
from salescast import errors
from tests.conftest import ROOT

FAMILY = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.SalescastError)
]


OF_THE_API = {  # their messages are written for callers
    errors.UnknownSeriesError,
    errors.UnknownOrderError,
    errors.OrderConflict,
    errors.OrderRefused,
}


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
    answer = problems.problem_of(kind("what happened"))
    problem = Problem.model_validate_json(answer.body, extra="forbid")
    assert (problem.status, answer.media_type) == (answer.status_code, problems.MEDIA_TYPE)


@pytest.mark.parametrize("kind", FAMILY, ids=lambda kind: kind.__name__)
def test_what_may_pass_says_when_to_try_again(kind):
    """503 and Retry-After go together."""
    answer = problems.problem_of(kind("what happened"))
    assert ("retry-after" in answer.headers) == (answer.status_code == 503)


@pytest.mark.parametrize(
    "kind", sorted(set(FAMILY) - OF_THE_API, key=str), ids=lambda k: k.__name__
)
def test_what_went_wrong_inside_stays_inside(kind):
    """Messages name files, URLs and values; those are for the log."""
    assert b"secret" not in problems.problem_of(kind("secret")).body


def test_a_long_detail_is_capped():
    """No error answer is larger than what was asked."""
    body = json.loads(problems.problem_of(errors.UnknownSeriesError("x" * 10_000)).body)
    assert len(body["detail"]) == problems.MAX_TEXT


def test_the_reference_explains_each_type_of_problem(document):
    """`type` links to /docs, whose first paragraph has a row for each."""
    slugs = {kind.slug for kind in problems.KINDS.values()} | {problems.INVALID}
    assert document["info"]["description"] == openapi.DESCRIPTION
    assert slugs <= set(re.findall(r"^\| `([a-z-]+)` \|", openapi.DESCRIPTION, re.MULTILINE))


def operations(document):
    """Return every operation of the document with its name."""
    return {
        f"{method} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_each_body_has_examples(document):
    """Swagger UI fills them in, so that "try it out" works at once."""
    schemas = document["components"]["schemas"]
    bodies = {
        name: operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for name, operation in operations(document).items()
        if "requestBody" in operation
    }
    bare = [name for name, ref in bodies.items() if not schemas[ref.split("/")[-1]].get("examples")]
    assert bodies
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
    models = [*problems.subclasses(RequestModel)]
    examples = [
        (model, example)
        for model in models
        for example in (model.model_config.get("json_schema_extra") or {}).get("examples", [])
    ]
    assert len(examples) >= 4
    for model, example in examples:
        model.model_validate(example)


def test_the_written_reference_names_each_operation_status_and_limit(document):
    """docs/reference/api.md cannot fall behind."""
    text = (ROOT / "docs/reference/api.md").read_text("utf-8")
    named = {f"{m.lower()} {p}" for m, p in re.findall(r"^\| `([A-Z]+) (\S+)` \|", text, re.M)}
    statuses = {int(found) for found in re.findall(r"^\| (\d{3}) \|", text, re.M)}
    assert named == set(operations(document))
    assert statuses == {503, *problems.STATUSES}
    assert f"{MAX_BODY_BYTES // 1024} KiB" in text
