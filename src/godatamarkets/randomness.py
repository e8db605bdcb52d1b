"""Random numbers that stay the same under every numpy, and for a series whatever surrounds it.

Only Philox's raw integers and inverse CDFs: numpy may change the streams of its own
distributions between versions (NEP 19).
"""

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]


def uniforms(seed: int, stream: str, entity: str, count: int) -> Floats:
    """Return the first `count` numbers in (0, 1) of one entity's stream."""
    digest = sha256(f"{seed}|{stream}|{entity}".encode()).digest()
    raw = np.random.Philox(key=int.from_bytes(digest[:16], "little")).random_raw(count)
    unit = ((raw >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return np.minimum(unit, 1 - 2.0**-53)  # the largest raw value would round up to 1


def normals(seed: int, stream: str, entity: str, count: int) -> Floats:
    """Return the first `count` standard normal numbers of one entity's stream."""
    numbers: Floats = ndtri(uniforms(seed, stream, entity, count))
    return numbers
