"""Models and versions as things that people talk about. A comment knows a model by its id, so that it outlives another name."""

from __future__ import annotations

from tilth.backends.sql import Tx
from tilth.domains.comments.types import Thing
from tilth.domains.models.queries.registry import model_by_name, version_of


def thing_of_model(tx: Tx, project_id: str, name: str) -> Thing:
    """Raises UnknownModel."""
    model = model_by_name(tx, project_id, name)
    return Thing("model", model.id, model.name)


def thing_of_version(tx: Tx, project_id: str, name: str, version: int) -> Thing:
    """Raises UnknownModel, UnknownVersion."""
    model = model_by_name(tx, project_id, name)
    found = version_of(tx, model, version)
    return Thing("version", f"{model.id}/{found.version}", f"{model.name} v{found.version}")
