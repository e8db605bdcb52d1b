"""The model registry: the only user of MLflow, which is imported when it is first needed."""

from salescast.registry.mlflow_registry import Candidate, Registry, Version
from salescast.release.payload import TRUSTED, read_model, write_model

__all__ = ["TRUSTED", "Candidate", "Registry", "Version", "read_model", "write_model"]
