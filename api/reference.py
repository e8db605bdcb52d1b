"""The API's reference as one HTML page, rendered from the OpenAPI; it loads nothing else."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from api.problems import INVALID, KINDS, STATUSES

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h2 { margin-top: 3rem; border-top: 1px solid #8886; padding-top: 1rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
h2 code { font-size: 1.2rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
pre { padding: .75rem; background: #8881; border-radius: 6px; }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; }
tr { border-bottom: 1px solid #8883; }
"""
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
}
Plain = Mapping[str, Any]


def render(document: Plain, address: str) -> str:
    """Return the page of an OpenAPI document; `address` (http://…) begins the examples."""
    info = document["info"]
    operations = [
        _operation(document, f"{method.upper()} {path}", operation, address)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = document["components"]["schemas"]
    body = [
        f"<h1>{escape(info['title'])}</h1>",
        f"<p>{escape(info['summary'])}</p>",
        '<p>Machines read <a href="/openapi.json">openapi.json</a>.</p>',
        *operations,
        "<h2>What the values mean</h2>",
        *(
            _schema(name, schemas[name])
            for name in sorted(schemas)
            if "properties" in schemas[name]
        ),
        "<h2>Problems</h2>",
        "<p>Every error is <code>application/problem+json</code> after RFC 9457.</p>",
        _table(("type", "status", "title", "detail"), _problems(), anchored=True),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}: API</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>"
    )


def _operation(document: Plain, title: str, operation: Plain, address: str) -> str:
    parts = [f"<h2><code>{escape(title)}</code></h2>", _prose(operation.get("description", ""))]
    if operation.get("parameters"):
        parts += [_table(("parameter", "in", "type", "meaning"), _parameters(operation))]
    asked = operation.get("requestBody", {}).get("content", {})
    for example in _examples(document, asked):
        parts += ["<p>Ask:</p>", _code(_curl(title, address, example))]
    for status, response in operation["responses"].items():
        for example in _examples(document, response.get("content", {}))[:1]:
            if status.startswith("2"):
                parts += ["<p>Answer:</p>", _code(json.dumps(example, indent=2))]
    statuses = [
        (status, answer["description"]) for status, answer in operation["responses"].items()
    ]
    return "".join([*parts, _table(("status", "meaning"), statuses)])


def _prose(text: str) -> str:
    return "".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n") if part)


def _code(text: str) -> str:
    return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'


def _curl(title: str, address: str, example: Any) -> str:
    method, path = title.split()
    return (
        f"curl -X {method} {address}{path} "
        f"-H 'Content-Type: application/json' -d '{json.dumps(example)}'"
    )


def _examples(document: Plain, content: Plain) -> list[Any]:
    schema = content.get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    found: list[Any] = document["components"]["schemas"].get(name, {}).get("examples", [])
    return found


def _parameters(operation: Plain) -> Iterator[tuple[str, ...]]:
    for one in operation["parameters"]:
        meaning = one.get("description") or one["schema"].get("description", "")
        yield one["name"], one["in"], _kind(one["schema"]), meaning


def _schema(name: str, schema: Plain) -> str:
    rows = [
        (field, _kind(value), value.get("description", ""))
        for field, value in schema["properties"].items()
    ]
    about = _prose(schema.get("description", ""))
    return f"<h3>{escape(name)}</h3>{about}{_table(('field', 'type', 'meaning'), rows)}"


def _kind(schema: Plain) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    return str(schema.get("type", "any"))


def _problems() -> list[tuple[str, ...]]:
    kinds = [(k.slug, str(k.status), k.title, k.detail) for k in KINDS.values()]
    return [*kinds, (INVALID, "422", "Invalid request", STATUSES[422])]


def _table(head: tuple[str, ...], rows: Any, *, anchored: bool = False) -> str:
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    lines = [
        (f'<tr id="{escape(row[0])}">' if anchored else "<tr>")
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for row in rows
    ]
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
