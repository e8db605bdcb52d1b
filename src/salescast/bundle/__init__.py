"""Releases: a promoted model with all it needs to serve, as files that cannot change unnoticed."""

from salescast.bundle.content import Bundle, encode, example_of, open_bundle, read_bundle
from salescast.bundle.forecast import feature_rows, issue_all, issue_rows
from salescast.bundle.manifest import NAMES
from salescast.bundle.presence import Note, present
from salescast.bundle.releases import Release, Releases
from salescast.bundle.trial import Trial, beside, open_rival, read_trial, write_trial

__all__ = [
    "NAMES",
    "Bundle",
    "Note",
    "Release",
    "Releases",
    "Trial",
    "beside",
    "encode",
    "example_of",
    "feature_rows",
    "issue_all",
    "issue_rows",
    "open_bundle",
    "open_rival",
    "present",
    "read_bundle",
    "read_trial",
    "write_trial",
]
