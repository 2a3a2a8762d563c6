"""How people write a model: `flight-delay@champion`, `flight-delay/3`, `flight-delay`, `m-<id>`, each also behind `models:/`."""

from __future__ import annotations

from dataclasses import dataclass

from tilth.core.errors import Invalid


class UnknownReference(Invalid):
    def __init__(self, text: str) -> None:
        super().__init__(f"{text[:120]!r} names no model; write `name@alias`, `name/3`, `name` (the newest version) or `m-<id>`")


@dataclass(frozen=True, slots=True)
class ModelReference:
    """Either logged_model_id, or model with at most one of alias and version."""

    model: str = ""
    alias: str | None = None
    version: int | None = None
    logged_model_id: str | None = None


def parse_reference(text: str) -> ModelReference:
    """Raises UnknownReference."""
    plain = text.removeprefix("models:/").lstrip("/")
    if plain.startswith("m-") and len(plain) == 34 and all(c in "0123456789abcdef" for c in plain[2:]):
        return ModelReference(logged_model_id=plain)
    name, at, alias = plain.rpartition("@")
    if at:
        if not name or not alias:
            raise UnknownReference(text)
        return ModelReference(name, alias=alias)
    name, slash, version = plain.rpartition("/")
    if slash and version.isascii() and version.isdigit() and len(version) < 10 and name:
        return ModelReference(name, version=int(version))
    if slash and version == "latest" and name:
        return ModelReference(name)
    if not plain:
        raise UnknownReference(text)
    return ModelReference(plain)
