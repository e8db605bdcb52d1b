"""Retailers and deliveries for the tests, made once each."""

from functools import cache
from hashlib import sha256

import numpy as np
import pandas as pd

from godatamarkets import Retailer


@cache
def retailer(size: str = "small", seed: int = 7, *faults: str) -> Retailer:
    """Return a shared retailer; give it no orders."""
    return Retailer(size, seed, faults)


@cache
def half_year(*faults: str) -> dict[str, pd.DataFrame]:
    """Return what the small retailer delivers in the first half of 2022."""
    return retailer("small", 7, *faults).deliver("2022-01-03", "2022-06-30")


def digest(tables: dict[str, pd.DataFrame]) -> str:
    """Return a hash of the contents, whatever pandas and numpy hold them in."""
    total = sha256()
    for name in sorted(tables):
        for column, values in tables[name].items():
            total.update(f"{name}.{column}:".encode())
            total.update(_bytes(values))
    return total.hexdigest()


def _bytes(values: pd.Series) -> bytes:
    if values.dtype.kind == "M":
        return values.to_numpy("datetime64[us]").astype("<i8").tobytes()
    if values.dtype.kind in "if":
        return values.to_numpy(np.dtype(values.dtype.kind + "8").newbyteorder("<")).tobytes()
    return "\n".join(map(str, values)).encode()
