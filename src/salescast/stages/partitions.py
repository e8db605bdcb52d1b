"""A chain cut by stores: a process holds one partition of it, and several may work at once.

The features of a store depend on the weather of its place and on its items' levels in the chain
(`levels`), on no other rows of other stores. So features and forecasts are made partition by
partition and joined in the order they have in one piece: the same rows, bit for bit.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import pandas as pd

from salescast.data import store
from salescast.features import knowledge
from salescast.settings import Settings

Mapper = Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]
"""Calls a function with each of the values and returns the results in their order. Function and
values can be pickled, so that another process, with the same folders, may do it."""


class Partition(NamedTuple):
    """Some stores of the chain, and the origins at which they have a series."""

    number: int
    store_ids: tuple[str, ...]
    origins: tuple[pd.Timestamp, ...] = ()


def in_order(work: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
    """Do the work here, for one value after another."""
    return [work(value) for value in values]


def split(store_ids: Sequence[str], count: int) -> list[Partition]:
    """Return the stores in `count` runs of like size, in order; one store is never divided."""
    known = sorted(set(store_ids))
    count = max(min(count, len(known)), 1)
    bounds = [len(known) * i // count for i in range(count + 1)]
    return [
        Partition(i, tuple(known[start:stop])) for i, (start, stop) in enumerate(pairwise(bounds))
    ]


def partitions(settings: Settings) -> list[Partition]:
    """Return the partitions of the stored chain; one where it is not to be cut."""
    if settings.scale.partitions == 1:
        return [Partition(0, ())]
    return split(list(store.read(settings.data, "stores")["store_id"]), settings.scale.partitions)


def pool(
    settings: Settings, origins: Sequence[pd.Timestamp], horizon: int, mapper: Mapper
) -> tuple[list[Partition], pd.DataFrame]:
    """Return the partitions with a series at some origin, and the chain's sales for all of them."""
    parts = partitions(settings)
    shares = mapper(partial(_share, settings, origins, horizon), parts)
    chain = knowledge.chain_sales(shares, origins)
    found = [
        part._replace(origins=tuple(share.index.unique("origin")))
        for part, share in zip(parts, shares, strict=True)
    ]
    return [part for part in found if part.origins], chain


def _share(
    settings: Settings, origins: Sequence[pd.Timestamp], horizon: int, part: Partition
) -> pd.DataFrame:
    return knowledge.item_sales(store.read_part(settings.data, part.store_ids), origins, horizon)
