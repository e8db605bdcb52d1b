"""Tables on disk, and the version of them that DVC keeps.

`data/<table>/<YYYY-MM>.parquet` holds the rows that *became known* in that month. Past months
never change, so DVC stores only what is new. A file is replaced as a whole, never written into.
A delivery is staged under `build/incoming`, marked COMMIT, then moved file by file: killed before
the mark it never happened, killed after it the next reader or writer finishes the move.
"""

from salescast.store.tables import append, read, read_all, read_days, read_part, recover, rehearsing
from salescast.store.versions import (
    commit_version,
    data_version,
    fetch_version,
    init_workspace,
    pinned_version,
    pull,
)

__all__ = [
    "append",
    "commit_version",
    "data_version",
    "fetch_version",
    "init_workspace",
    "pinned_version",
    "pull",
    "read",
    "read_all",
    "read_days",
    "read_part",
    "recover",
    "rehearsing",
]
