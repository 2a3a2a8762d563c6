"""Events, errors and values of the models domain. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from tilth.core.errors import Conflict, Damaged, Invalid, NotFound
from tilth.core.events import Event

LoggedModelStatus = Literal["pending", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class ModelVersionRegistered(Event):
    """A version of a registered model now exists; it never changes what it points to."""

    name: ClassVar[str] = "model_version.registered"
    project_id: str
    model: str
    version: int
    logged_model_id: str
    manifest_digest: str


@dataclass(frozen=True, slots=True)
class AliasMoved(Event):
    """An alias now names another version. previous None: it is new; version None: it was removed. by: name of who moved it."""

    name: ClassVar[str] = "model_alias.moved"
    project_id: str
    model_id: str
    model: str
    alias: str
    version: int | None
    previous: int | None
    by: str


@dataclass(frozen=True, slots=True)
class ResolvedVersion:
    """A version that a name, a number or an alias led to, with what it takes to serve it. Immutable once registered.

    unservable: why the version cannot be served, empty when it can.
    """

    model_id: str
    model: str
    version: int
    logged_model_id: str
    manifest_digest: str
    unservable: str


class UnknownLoggedModel(NotFound):
    def __init__(self, logged_model_id: str) -> None:
        super().__init__(f"no logged model {logged_model_id[:80]!r} in this project; `tilth.log_model(...)` makes one")


class UnknownModel(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__(f"no model {name[:80]!r} in this project; the Models page and GET .../models list what is registered")


class UnknownVersion(NotFound):
    def __init__(self, model: str, version: int, newest: int | None) -> None:
        has = f"its newest is {newest}" if newest else "it has none yet; register one with tilth.log_model(..., name=...)"
        super().__init__(f"model {model!r} has no version {version}; {has}")


class UnknownAlias(NotFound):
    def __init__(self, model: str, alias: str, known: list[str]) -> None:
        has = f"it has: {', '.join(known[:10])}" if known else "it has none yet"
        super().__init__(
            f"model {model!r} has no alias {alias[:80]!r}; {has}. Set one with tilth.set_alias({model!r}, {alias[:80]!r}, version)"
        )


class UnknownModelFile(NotFound):
    def __init__(self, logged_model_id: str, path: str) -> None:
        super().__init__(
            f"logged model {logged_model_id} has no file {path[:80]!r}; GET .../logged-models/{logged_model_id} lists its files"
        )


class ModelExists(Conflict):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"a model named {name!r} is already registered in this project; add a version to it or choose another name"
        )


class ModelSealed(Conflict):
    """A logged model was finalised; its files never change again."""

    def __init__(self, logged_model_id: str, status: str) -> None:
        super().__init__(
            f"logged model {logged_model_id} is {status} and its files are sealed; log the changed model as a new one with tilth.log_model"
        )


class ModelNotReady(Conflict):
    """A logged model whose files are not all there cannot be registered."""

    def __init__(self, logged_model_id: str, status: str) -> None:
        super().__init__(
            f"logged model {logged_model_id} is {status}, not ready; upload its files and finalise it before registering a version"
        )


class IncompleteModel(Invalid):
    """The uploaded folder is not a model that Tilth can keep: a file is missing or does not read."""


class ManifestDiffers(Conflict):
    """What was uploaded is not what the sender says it sent."""


class ModelDamaged(Damaged):
    """A stored file of a logged model is missing or has another size than its row says."""


class VersionInUse(Conflict):
    """A version, model or alias is still needed by something that the message names."""


class ReservedAlias(Invalid):
    def __init__(self, alias: str) -> None:
        super().__init__(
            f"alias {alias!r} is reserved: 'latest' and 'v<number>' have a meaning of their own; choose a word such as 'champion'"
        )


class InvalidModelName(Invalid):
    """A registered model's name breaks the rules."""


class UnknownCardField(Invalid):
    def __init__(self, field: str, known: tuple[str, ...]) -> None:
        super().__init__(f"a model card has no field {field[:80]!r} to fill in; it has: {', '.join(known)}")


class TooLongText(Invalid):
    """A text is above its bound."""
