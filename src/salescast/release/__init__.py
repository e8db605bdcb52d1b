"""Releases: a promoted model with all it needs to serve, as files that cannot change unnoticed."""

from salescast.release.bundle import Bundle, encode, example_of, open_bundle, read_bundle
from salescast.release.issuing import feature_rows, issue_all, issue_rows
from salescast.release.payload import NAMES
from salescast.release.releases import (
    Release,
    Releases,
    Trial,
    open_trial,
    read_trial,
    served_and_shadow,
    write_trial,
)

__all__ = [
    "NAMES",
    "Bundle",
    "Release",
    "Releases",
    "Trial",
    "encode",
    "example_of",
    "feature_rows",
    "issue_all",
    "issue_rows",
    "open_bundle",
    "open_trial",
    "read_bundle",
    "read_trial",
    "served_and_shadow",
    "write_trial",
]
