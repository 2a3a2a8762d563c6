"""How a model is named on the command line: `flight-delay@champion`, `flight-delay/3`, also with MLflow's `models:/` in front."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tilth.cli.client import Api
from tilth.core.errors import Invalid


class InvalidReference(Invalid):
    """The text names no model with a version or an alias."""


@dataclass(frozen=True, slots=True)
class ModelReference:
    """Exactly one of version and alias is set."""

    model: str
    version: int | None = None
    alias: str | None = None

    def to_target(self) -> dict[str, str | int]:
        """The fields that a deployment request takes."""
        if self.version is not None:
            return {"model": self.model, "version": self.version}
        return {"model": self.model, "alias": self.alias or ""}

    def __str__(self) -> str:
        return f"{self.model}/{self.version}" if self.version is not None else f"{self.model}@{self.alias}"


def parse_reference(text: str) -> ModelReference:
    """Raises InvalidReference."""
    name = text.removeprefix("models:/")
    model, at, alias = name.rpartition("@")
    if at and model and alias:
        return ModelReference(model, alias=alias)
    model, slash, version = name.rpartition("/")
    if slash and model and version.isascii() and version.isdigit() and int(version) > 0:
        return ModelReference(model, version=int(version))
    raise InvalidReference(
        f"{text!r} says no version: write {name or 'model'}@champion for an alias, or {name or 'model'}/1 for a version"
    )


def names_files(text: str) -> bool:
    """Whether it is the id of a logged model: the files behind a version."""
    return re.fullmatch(r"m-[0-9a-f]{32}", text) is not None


def parse_version(api: Api, text: str) -> tuple[str, int]:
    """Model and version of a reference; an alias is looked up. Raises InvalidReference, NotFound."""
    named = parse_reference(text)
    if named.version is not None:
        return named.model, named.version
    return named.model, int(api.get(api.in_project("models", named.model, "aliases", named.alias or ""))["version"])
