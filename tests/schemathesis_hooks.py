"""Lets schemathesis reach beyond "unknown": what is valid becomes something that is there.

Only values that are valid already are replaced, so what it means to be refused stays so.
"""

import re
from datetime import timedelta
from typing import Any

import schemathesis

from api.schemas import DATE_PATTERN
from tests.serving import LEVELS, ORIGIN

STORES, ITEMS = ("s1", "s2"), ("u1", "u2")
AHEAD = [f"{ORIGIN + timedelta(days=lead):%Y-%m-%d}" for lead in range(1, 15)]


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 100


def _is_day(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(DATE_PATTERN, value) is not None


def _known(body: Any, place: int = 0) -> Any:
    """Return a body in which ids, days and levels that could be, are."""
    if isinstance(body, list):
        return [_known(one, at) for at, one in enumerate(body)]
    if not isinstance(body, dict):
        return body
    found = {name: _known(value) for name, value in body.items()}
    for name, ids in (("store_id", STORES), ("item_id", ITEMS)):
        if _is_id(found.get(name)):
            found[name] = ids[len(found[name]) % 2]
    if _is_day(found.get("date")):  # no day twice
        found["date"] = f"{ORIGIN - timedelta(days=place):%Y-%m-%d}"
    for name in ("rain_mm", "price"):
        by_day = found.get(name)
        if isinstance(by_day, dict) and all(map(_is_day, by_day)):
            found[name] = dict(zip(AHEAD, by_day.values(), strict=False))
    return _offered(found)


def _offered(found: dict[str, Any]) -> dict[str, Any]:
    levels = found.get("quantiles")
    numbers = isinstance(levels, list) and all(type(level) is float for level in levels)
    if levels and numbers and all(0 < level < 1 for level in levels):
        found["quantiles"] = [LEVELS[at % len(LEVELS)] for at in range(len(levels))]
    return found


@schemathesis.hook
def map_body(_: Any, body: Any) -> Any:
    """Replace what is valid in a body."""
    return _known(body)


@schemathesis.hook
def map_query(_: Any, query: Any) -> Any:
    """Replace what is valid in a query."""
    return _offered(dict(query)) if query else query


@schemathesis.hook
def map_path_parameters(_: Any, parameters: Any) -> Any:
    """Replace what is valid in a path."""
    return _known(parameters)
