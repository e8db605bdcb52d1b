"""Models as files that run no code when they are read.

A payload is a plain dictionary of estimators, arrays, text and numbers, in skops's format. skops
would believe every estimator there is, MLflow the list inside the file; we believe only our own,
and look at the archive, its arrays and its trees before anything is built from them.
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from salescast.data.strict import MAX_FILE_BYTES, as_json, read_bytes
from salescast.errors import DataQualityError
from salescast.release.plain import build

TRUSTED = (
    "functools.partial",  # gradient boosting wraps check_array in it, for categorical features
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",  # the trees
    "sklearn.utils.validation.check_array",
)
"""Reviewed types beyond those skops trusts by itself. One more is a decision, not a fix."""

PLAIN = {
    "DictNode": {"builtins.dict"},
    "JsonNode": {"builtins.str"},
    "ListNode": {"builtins.list"},
    "NdArrayNode": {
        *(f"numpy.{name}" for name in ("ndarray", "bool", "bool_", "str_")),
        *(f"numpy.{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)),
    },
    "TupleNode": {"builtins.tuple"},
    "TypeNode": {"builtins.str", "builtins.int", "builtins.float", "numpy.float64"},
}
_SKLEARN = (
    "_loss.link.Interval",
    "_loss.link.LogLink",
    "_loss.loss.HalfPoissonLoss",
    "compose._column_transformer.ColumnTransformer",
    "ensemble._hist_gradient_boosting.binning._BinMapper",
    "ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingRegressor",
    "ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "preprocessing._encoders.OrdinalEncoder",
    "preprocessing._function_transformer.FunctionTransformer",
)
REVIEWED: Mapping[str, set[str]] = PLAIN | {
    "FunctionNode": {"sklearn.utils.validation.check_array"},
    "LossNode": {"sklearn._loss._loss.CyHalfPoissonLoss"},
    "ObjectNode": {f"sklearn.{name}" for name in _SKLEARN},
    "PartialNode": {"functools.partial"},
    "RandomGeneratorNode": {"numpy.random._generator.Generator"},
    "SliceNode": {"builtins.slice"},
}
"""How a part may be read → the types that may be read so: all that a model may be made of.
PLAIN is what `plain.build` reads; the rest, gradient boosting, takes skops and scikit-learn."""

PROTOCOL = 2  # of skops; older ones are read by older, less careful code
MAX_PARTS = 20_000
MAX_UNPACKED_BYTES = 4 * MAX_FILE_BYTES
_PART = re.compile(r"schema\.json|\d{1,20}\.npy")


def write_model(path: Path, payload: Mapping[str, Any], trusted: Collection[str] = ()) -> None:
    """Write a payload that `read_model` will read; `trusted`: see `parse_model`.

    Raises DataQualityError, and leaves no file, where it holds a type nobody reviewed.
    """
    import skops.io

    skops.io.dump(dict(payload), path, compression=zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path) as file:
        unknown = sorted(set(_unreviewed(as_json(file.read("schema.json")), _reviewed(trusted))))
    if unknown:
        path.unlink()
        raise DataQualityError(
            f"a model must not hold {', '.join(unknown)}: review the type, then name it in "
            "model.trusted_types here and where the model is served"
        )
    _settle(path)


# skops names parts by memory address and zip stamps them with the time; numbered in order and
# stamped alike, the same model is the same bytes, and DVC sees that nothing changed.
_ADDRESS = re.compile(r'(?<="__id__": )\d+|(?<="file": ")\d+(?=\.)')
_STAMP = (1980, 1, 1, 0, 0, 0)  # the oldest that zip knows


def _settle(path: Path) -> None:
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    numbers: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return numbers.setdefault(match[0], str(len(numbers) + 1))

    schema = _ADDRESS.sub(number, parts.pop("schema.json").decode())
    settled = {"schema.json": schema.encode()}
    for name, content in parts.items():
        address, dot, kind = name.partition(".")
        settled[numbers[address] + dot + kind] = content
    with zipfile.ZipFile(path, "w") as file:
        for name in sorted(settled):
            entry = zipfile.ZipInfo(name, _STAMP)
            file.writestr(entry, settled[name], zipfile.ZIP_DEFLATED)


def read_model(
    path: Path, digest: str | None = None, trusted: Collection[str] = ()
) -> dict[str, Any]:
    """Return the payload of a file; `digest` is the SHA-256 it must have.

    Raises DataQualityError where the file is damaged, was swapped or holds what no model of ours
    holds.
    """
    return parse_model(checked(path, digest), path.name, trusted)


def checked(path: Path, digest: str | None) -> bytes:
    """Return a file's content; raise DataQualityError where its SHA-256 is not `digest`."""
    content = read_bytes(path.resolve())  # DVC may have made it a link
    found = hashlib.sha256(content).hexdigest()
    if digest is not None and found != digest:
        raise DataQualityError(
            f"{path.name}: SHA-256 is {found[:12]}…, registered was {digest[:12]}…; the file was "
            "damaged or swapped: roll back or train again"
        )
    return content


def parse_model(content: bytes, name: str, trusted: Collection[str] = ()) -> dict[str, Any]:
    """Return the payload in the bytes of a file called `name`.

    `trusted`: classes that the owner vouches for, beyond REVIEWED; what the file says counts for
    nothing. Raises DataQualityError where they are no model of ours; then nothing was built from
    them.
    """
    try:
        payload = _parse(content, trusted)
    except Exception as error:  # a damaged file raises anything
        raise DataQualityError(f"{name} is no model of ours: {error}") from error
    if not isinstance(payload, dict):
        raise DataQualityError(f"{name} holds a {type(payload).__name__}, not a dictionary")
    return payload


def _reviewed(trusted: Collection[str]) -> dict[str, set[str]]:
    """Return REVIEWED and what the owner trusts: as objects with plain state, never as a call."""
    return {**REVIEWED, "ObjectNode": REVIEWED["ObjectNode"] | set(trusted)}


def _parse(content: bytes, trusted: Collection[str]) -> Any:
    from salescast.release.trees import check_trees

    with zipfile.ZipFile(io.BytesIO(content)) as file:
        _check_archive(file)
        schema = as_json(file.read("schema.json"))
        unknown = sorted(set(_unreviewed(schema, _reviewed(trusted))))
        if unknown or schema.get("protocol") != PROTOCOL:
            raise ValueError(f"nobody reviewed {', '.join(unknown) or 'its protocol'}")
        parts = {name: file.read(name) for name in file.namelist() if name != "schema.json"}
    for part in parts.values():
        _check_array(part)
    if not any(_unreviewed(schema, PLAIN)):
        return build(schema, parts.__getitem__)
    import skops.io

    payload = skops.io.loads(content, trusted=[*TRUSTED, *trusted])
    for estimator in _estimators(payload):
        if _named(estimator) not in trusted:
            check_trees(estimator)
            continue
        for inner in _held(estimator):  # trees within it are followed as blindly
            if type(inner).__name__ == "HistGradientBoostingRegressor":
                check_trees(inner)
    return payload


def _named(part: Any) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"


def _check_archive(file: zipfile.ZipFile) -> None:
    entries = file.infolist()
    names = {entry.filename for entry in entries}
    size = sum(entry.file_size for entry in entries)
    if len(names) < len(entries) or len(entries) > MAX_PARTS or size > MAX_UNPACKED_BYTES:
        raise ValueError(f"an archive of {len(entries)} parts with {size:,} bytes is refused")
    strange = sorted(name for name in names if not _PART.fullmatch(name))
    if strange:
        raise ValueError(f"a part named {strange[0][:50]!r} is refused")


def _check_array(content: bytes) -> None:
    """Raise ValueError where an array's header promises more, or other, than there is."""
    import numpy as np

    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in {(1, 0), (2, 0)}:
        raise ValueError(f"an array of version {version}")
    read = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
    shape, _, dtype = read(stream, max_header_size=10_000)
    wanted = dtype.itemsize
    for length in shape:
        wanted *= length
    if dtype.hasobject or wanted != len(content) - stream.tell() or min(shape, default=0) < 0:
        raise ValueError(f"an array of {dtype}, {shape} does not fit its {len(content):,} bytes")


def _unreviewed(schema: Any, reviewed: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield what the schema holds beyond `reviewed`; it nests as deep as JSON's parser allowed."""
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if "__loader__" in node or "__class__" in node:
                name = f"{node.get('__module__')}.{node.get('__class__')}"
                if name not in reviewed.get(str(node.get("__loader__")), ()):
                    yield name
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _held(estimator: Any) -> Iterator[Any]:
    """Yield the objects that an estimator holds, however deep, each once."""
    waiting, seen = [estimator], {id(estimator)}
    while waiting:
        for part in _estimators(getattr(waiting.pop(), "__dict__", {})):
            if id(part) not in seen:
                seen.add(id(part))
                waiting.append(part)
                yield part


def _estimators(payload: Any) -> Iterator[Any]:
    """Yield what is neither plain value nor array; raise ValueError for arrays of objects."""
    import numpy as np

    waiting = [payload]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list | tuple):
            waiting.extend(part)
        elif isinstance(part, np.ndarray | np.generic):
            if part.dtype.hasobject:
                raise ValueError("it holds an array of objects")
        elif part is not None and not isinstance(part, str | int | float):
            yield part
