"""The model registry: the only user of MLflow, which is imported when it is first needed."""

from salescast.bundle.payload import TRUSTED, read_model, write_model
from salescast.registry.client import Candidate, Registry, Version

__all__ = ["TRUSTED", "Candidate", "Registry", "Version", "read_model", "write_model"]
