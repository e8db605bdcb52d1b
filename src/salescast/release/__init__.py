"""Releases: a promoted model with all it needs to serve, as files that cannot change unnoticed."""

from salescast.release.bundle import Bundle, encode, example_of, open_bundle, read_bundle
from salescast.release.issuing import feature_rows, issue_all, issue_rows
from salescast.release.manifest import NAMES
from salescast.release.presence import Note, present
from salescast.release.releases import Release, Releases
from salescast.release.trial import Trial, beside, open_rival, read_trial, write_trial

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
