"""The OpenAPI document, with problems where FastAPI would document its own errors."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from api.problems import INVALID, KINDS, MEDIA_TYPE, STATUSES
from api.schemas import FieldError, Problem

_MEANINGS = STATUSES | {
    404: "Unknown series, receipt, order or release.",
    503: "Not ready. The header Retry-After says when to try again.",
}
_SCHEMA = {"$ref": "#/components/schemas/Problem"}
_OF_BODY = (400, 408, 413, 415, 422)  # any operation with a body may answer these
_OF_KEYS = (401, 403, 429)
_ROWS = [
    *((kind.slug, kind.status, kind.title, kind.detail) for kind in KINDS.values()),
    (INVALID, 422, "Invalid request", STATUSES[422]),
]
DESCRIPTION = "\n".join(
    [
        "Every error is `application/problem+json` (RFC 9457). Its `type` is one of these:\n",
        "| type | status | title | detail |",
        "|---|---|---|---|",
        *(f"| `{slug}` | {status} | {title} | {detail} |" for slug, status, title, detail in _ROWS),
        "\nor `about:blank`, where the status explains the error.",
    ]
)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route: each of these statuses is a problem."""
    content = {MEDIA_TYPE: {"schema": _SCHEMA}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in statuses}


def document(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Return `app.openapi` with the schema of problems and the answers common to operations."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        protected = bool(app.state.access.protected)
        plain = original()
        _prepare(plain["components"]["schemas"], protected=protected)
        for path, methods in plain["paths"].items():
            for operation in methods.values():
                _add_common(operation, protected=path.startswith("/v1") and protected)
        if protected:
            plain["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        return plain

    return openapi


def _prepare(schemas: dict[str, Any], *, protected: bool) -> None:
    """Add the schema of problems, drop FastAPI's own, and require a planner where no key is."""
    for model in (Problem, FieldError):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)
        schemas[model.__name__] = schema
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for schema in schemas.values():
        planner = schema["properties"].get("planner", {})
        if not protected and "additionalProperties" in schema and "anyOf" in planner:
            planner.update(planner.pop("anyOf")[0])  # a name; null is for callers with a key
            schema["required"] = sorted({*schema.get("required", []), "planner"})


def _add_common(operation: dict[str, Any], *, protected: bool) -> None:
    """Add the answers that a caller may get before the route runs."""
    statuses = [421, 500]
    if "requestBody" in operation:
        statuses += _OF_BODY
    elif "parameters" in operation:
        statuses.append(422)
    if protected:
        statuses += _OF_KEYS
        operation["security"] = [{"key": []}]
    answers = operation["responses"] | {str(k): v for k, v in problems(*statuses).items()}
    operation["responses"] = dict(sorted(answers.items()))
