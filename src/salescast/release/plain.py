"""Payloads without estimators, read from skops's format without skops, which imports for seconds.

Only dictionaries with text keys, lists, tuples, JSON values and arrays are known here: nothing
that a file names is looked up, imported or called.
"""

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Read = Callable[[str], bytes]


def build(node: Mapping[str, Any], read: Read) -> Any:
    """Return what a reviewed node of skops's schema stands for; `read`: part name → bytes.

    Raises KeyError for a node of another kind, ValueError for keys that are no text.
    """
    return _BUILD[node["__loader__"]](node, read)


def _dict(node: Mapping[str, Any], read: Read) -> dict[str, Any]:
    kinds = {kind["__class__"] for kind in node["key_types"]["content"]}
    if kinds - {"str"}:
        raise ValueError(f"a dictionary with keys of {', '.join(sorted(kinds))}")
    return {str(key): build(part, read) for key, part in node["content"].items()}


def _list(node: Mapping[str, Any], read: Read) -> list[Any]:
    return [build(part, read) for part in node["content"]]


def _array(node: Mapping[str, Any], read: Read) -> Any:
    if node["type"] != "numpy":
        raise ValueError("an array of objects")
    values = np.load(io.BytesIO(read(node["file"])), allow_pickle=False)
    return values if node["__class__"] == "ndarray" else values[()]  # a scalar of its own dtype


_BUILD: Mapping[str, Callable[[Mapping[str, Any], Read], Any]] = {
    "DictNode": _dict,
    "JsonNode": lambda node, _: json.loads(node["content"]),
    "ListNode": _list,
    "NdArrayNode": _array,
    "TupleNode": lambda node, read: tuple(_list(node, read)),
}
