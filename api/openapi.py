"""The OpenAPI document, with problems where FastAPI would have its own errors."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from api.problems import MEDIA_TYPE, STATUSES
from api.schemas import Complaint, Problem

_MEANINGS = STATUSES | {
    404: "No such series; GET /v1/series lists those there are.",
    503: "Not ready; the header Retry-After says when to come back.",
}
_SCHEMA = {"$ref": "#/components/schemas/Problem"}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return a route's `responses`: each of these statuses is a problem."""
    return {
        status: {
            "description": _MEANINGS[status],
            "content": {MEDIA_TYPE: {"schema": _SCHEMA}},
        }
        for status in statuses
    }


def document(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Return `app.openapi` with the schema of problems, and those that any operation has."""
    original = app.openapi

    def protected() -> bool:
        return bool(app.state.access.protected)

    def openapi() -> dict[str, Any]:
        found = original()
        schemas = found["components"]["schemas"]
        for model in (Problem, Complaint):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schema.pop("$defs", None)
            schemas.setdefault(model.__name__, schema)
        for path, methods in found["paths"].items():
            for operation in methods.values():
                _add_common(operation, protected=path.startswith("/v1") and protected())
        if protected():
            found["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        return found

    return openapi


def _add_common(operation: dict[str, Any], *, protected: bool) -> None:
    """Add what may be answered before an operation is reached."""
    common = [421, *([408] if "requestBody" in operation else [])]
    if protected:
        common += [401, 403, 429]
        operation["security"] = [{"key": []}]
    answers = operation["responses"] | {str(k): v for k, v in problems(*common).items()}
    operation["responses"] = dict(sorted(answers.items()))
