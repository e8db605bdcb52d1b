"""Models as skops files: reading one runs none of its code, whatever it holds.

The digest is compared first, then the archive's size is bounded, then skops admits only types that
its authors or we have reviewed, and last the trees are checked.
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from salescast.data.files import MAX_FILE_BYTES, as_json, read_bytes
from salescast.errors import DataQualityError
from salescast.models import TYPES

TRUSTED = (
    *TYPES,  # our own models
    "numpy.dtype",  # an imputer keeps that of its columns; skops reads it from an empty array
    "functools.partial",  # gradient boosting wraps check_array in it, for categorical features
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",  # see `_check_trees`
    "sklearn.utils.validation.check_array",
)
"""Types we reviewed, beyond those that skops trusts. One more is a decision, not a fix."""

PROTOCOL = 2  # of skops; its readers of older protocols are less careful
MAX_PARTS = 20_000
MAX_UNPACKED_BYTES = 4 * MAX_FILE_BYTES
_PART = re.compile(r"schema\.json|\d{1,20}\.np[yz]")
_ADDRESS = re.compile(r'(?<="__id__": )\d+|(?<="file": ")\d+(?=\.)')
_STAMP = (1980, 1, 1, 0, 0, 0)  # the oldest that zip knows


def write_model(path: Path, payload: Mapping[str, Any], trusted: Collection[str] = ()) -> None:
    """Write a payload that `read_model` will read; `trusted`: see `parse_model`.

    Raises DataQualityError, and writes no file, where it holds a type nobody reviewed.
    """
    import skops.io

    content = skops.io.dumps(dict(payload))
    unknown = set(skops.io.get_untrusted_types(data=content)) - {*TRUSTED, *trusted}
    if unknown:
        raise DataQualityError(
            f"a model must not hold {', '.join(sorted(unknown))}: review the type, then name it in "
            "model.trusted_types here and where the model is served"
        )
    path.write_bytes(_reproducible(content))


def _reproducible(content: bytes) -> bytes:
    """Return the archive with parts numbered in order and stamped alike.

    skops names parts by memory address and zip stamps them with the time; DVC must see that the
    same model is the same file.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    numbers: dict[str, str] = {}
    schema = _ADDRESS.sub(
        lambda match: numbers.setdefault(match[0], str(len(numbers) + 1)),
        parts.pop("schema.json").decode(),
    )
    numbered = {numbers[Path(name).stem] + Path(name).suffix: parts[name] for name in parts}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, part in sorted({**numbered, "schema.json": schema.encode()}.items()):
            file.writestr(zipfile.ZipInfo(name, _STAMP), part, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def read_model(
    path: Path, digest: str | None = None, trusted: Collection[str] = ()
) -> dict[str, Any]:
    """Return the payload of a file; `digest` is the SHA-256 it must have.

    Raises DataQualityError where the file is damaged, was swapped or holds a type nobody reviewed.
    """
    return parse_model(checked(path, digest), path.name, trusted)


def checked(path: Path, digest: str | None) -> bytes:
    """Return a file's content; raise DataQualityError where its SHA-256 is not `digest`."""
    content = read_bytes(path.resolve())  # DVC may have made it a link
    actual = hashlib.sha256(content).hexdigest()
    if digest is not None and actual != digest:
        raise DataQualityError(
            f"{path.name}: SHA-256 is {actual[:12]}…, registered was {digest[:12]}…; the file was "
            "damaged or swapped: roll back or train again"
        )
    return content


def parse_model(content: bytes, name: str, trusted: Collection[str] = ()) -> dict[str, Any]:
    """Return the payload in the bytes of a file called `name`.

    `trusted`: classes that the owner vouches for, beyond TRUSTED; the list that MLflow keeps in
    the file counts for nothing. Raises DataQualityError where the bytes are no model.
    """
    import skops.io

    try:
        _check_archive(content)
        payload = skops.io.loads(content, trusted=[*TRUSTED, *trusted])
        _check_trees(payload)
    except Exception as error:  # a damaged file raises anything
        raise DataQualityError(f"{name} cannot be read as a model: {error}") from error
    if not isinstance(payload, dict):
        raise DataQualityError(f"{name} holds a {type(payload).__name__}, not a dictionary")
    return payload


def _check_archive(content: bytes) -> None:
    """Raise ValueError for an archive that is too large, ambiguous or of another protocol."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        entries = file.infolist()
        names = {entry.filename for entry in entries}
        size = sum(entry.file_size for entry in entries)
        if len(names) < len(entries) or len(entries) > MAX_PARTS or size > MAX_UNPACKED_BYTES:
            raise ValueError(f"an archive of {len(entries)} parts with {size:,} bytes is refused")
        if not all(_PART.fullmatch(name) for name in names):
            raise ValueError("a part has a name that skops does not give")
        if as_json(file.read("schema.json")).get("protocol") != PROTOCOL:
            raise ValueError(f"only protocol {PROTOCOL} of skops is read")


def _check_trees(payload: Any) -> None:
    """Raise ValueError where an index of a tree leads out of its tree, or a category of its bits.

    scikit-learn follows them unchecked: one beyond the end reads foreign memory, one that leads
    back never ends. skops leaves the content of trees to its user for that reason.
    """
    from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting

    for part in _parts(payload):
        if not isinstance(part, BaseHistGradientBoosting):
            continue
        bins, trees = vars(part)["_bin_mapper"], chain.from_iterable(vars(part)["_predictors"])
        categories = [bins.bin_thresholds_[at] for at in np.flatnonzero(bins.is_categorical_)]
        features = {part.n_features_in_, len(bins.bin_thresholds_), len(bins.is_categorical_)}
        if (
            len(features) > 1
            or not all(((values >= 0) & (values < 256)).all() for values in categories)
            or not all(_stays_inside(tree, part.n_features_in_) for tree in trees)
        ):
            raise ValueError("an index of its trees leads out of them")


def _stays_inside(tree: Any, features: int) -> bool:
    nodes, bitsets = tree.nodes, tree.raw_left_cat_bitsets
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    children, feature = (
        np.array([nodes[name][inner] for name in names], dtype=np.int64)
        for names in (("left", "right"), ("feature_idx",))
    )
    bitset = nodes["bitset_idx"][inner][nodes["is_categorical"][inner] != 0]
    return bool(
        len(nodes)
        and ((children > inner) & (children < len(nodes))).all()
        and ((feature >= 0) & (feature < features)).all()
        and (bitset < len(bitsets)).all()
        and bitsets.size == 8 * len(bitsets)
        and np.isfinite(nodes["value"]).all()
    )


def _parts(payload: Any) -> Iterator[Any]:
    """Yield the objects that a payload is made of, however deep, each once."""
    waiting, seen = [payload], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, Mapping):
            waiting.extend(part.values())
        elif isinstance(part, list | tuple | set):
            waiting.extend(part)
        else:
            waiting.extend(getattr(part, "__dict__", {}).values())


MANIFEST = "manifest.json"
FORMAT = 1
NAMES = frozenset(
    {
        "about.json",
        "climatology.json",
        "contract.json",
        "costs.json",
        "decision.json",
        "environment.json",
        "examples.json",
        "fallback.skops",
        "model.skops",
        "quality.json",
        "scorecard.json",
    }
)
"""The files of a bundle: these, all of them, and nothing else."""


def seal(files: Mapping[str, bytes]) -> tuple[bytes, str]:
    """Return the manifest of a bundle's files, and its digest."""
    if files.keys() != NAMES:
        wrong = ", ".join(sorted(files.keys() ^ NAMES))
        raise DataQualityError(f"a release has missing or unknown files: {wrong}; train again")
    entries = {name: _entry(content) for name, content in sorted(files.items())}
    manifest = json.dumps({"files": entries, "format": FORMAT}, indent=1).encode() + b"\n"
    return manifest, hashlib.sha256(manifest).hexdigest()


def _entry(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def unseal(folder: Path, digest: str) -> dict[str, bytes]:
    """Return the files of a bundle, checked byte for byte; each is read once.

    Raises DataQualityError, naming the file, where anything differs from what was sealed.
    """
    wrong = _names(folder) ^ NAMES ^ {MANIFEST}
    if wrong:
        raise DataQualityError(f"{folder}: missing or unknown: {', '.join(sorted(wrong))[:200]}")
    manifest = read_bytes(folder / MANIFEST, 2**16)
    if hashlib.sha256(manifest).hexdigest() != digest:
        raise DataQualityError(f"{folder / MANIFEST}: its SHA-256 is not {digest[:12]}…")
    entries = _entries(folder / MANIFEST, manifest)
    files = {name: read_bytes(folder / name) for name in sorted(NAMES)}
    for name, content in files.items():
        if _entry(content) != entries[name]:
            raise DataQualityError(
                f"{folder / name}: damaged or swapped; publish the release again"
            )
    return files


def _names(folder: Path) -> set[str]:
    if folder.is_symlink() or not folder.is_dir():
        raise DataQualityError(f"{folder}: missing, or not a folder")
    return {path.name for path in folder.iterdir()}


def _entries(path: Path, manifest: bytes) -> dict[str, Any]:
    try:
        plain = as_json(manifest)
        entries = dict(plain["files"])
        if plain != {"files": entries, "format": FORMAT} or entries.keys() != NAMES:
            raise ValueError("it lists other files than a release has")
    except (ValueError, TypeError, KeyError) as error:
        raise DataQualityError(f"{path}: not a manifest: {error}") from error
    return entries
