"""Logged models, registered models, versions, aliases and cards, as our own API writes and reads them. Moments in ms since the epoch."""

from __future__ import annotations

from typing import Literal

import msgspec

from tilth.wire.models import CompiledEngine, ModelDocument
from tilth.wire.provenance import ProvenanceView

LoggedModelStatus = Literal["pending", "ready", "failed"]


class CreateLoggedModel(msgspec.Struct, forbid_unknown_fields=True):
    """Opens a logged model, into which files are then put. The experiment is that of the source run when it is not named."""

    name: str = "model"
    source_run_id: str | None = None
    experiment_id: str | None = None
    model_type: str = ""
    params: dict[str, str] = {}
    tags: dict[str, str] = {}


class FinalizeLoggedModel(msgspec.Struct, forbid_unknown_fields=True):
    """Seals the files. manifest_digest: what the sender expects (core.hashing.Manifest); status failed gives the upload up."""

    manifest_digest: str | None = None
    status: Literal["ready", "failed"] = "ready"
    message: str = ""


class TagLoggedModel(msgspec.Struct, forbid_unknown_fields=True):
    """Tags that are not named stay as they are."""

    tags: dict[str, str]


class ModelFileView(msgspec.Struct, frozen=True):
    path: str
    digest: str
    size: int


class LoggedModelView(msgspec.Struct, frozen=True):
    """size in bytes over all files. unservable: why the model server cannot serve it, empty when it can.

    provenance: of a model that was made elsewhere, else None.
    """

    id: str
    name: str
    experiment_id: str | None
    source_run_id: str | None
    model_type: str
    status: LoggedModelStatus
    status_message: str
    created: int
    updated: int
    creator: str
    manifest_digest: str | None
    size: int
    flavour: str
    unservable: str
    document: ModelDocument | None = None
    files: list[ModelFileView] = []
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    registrations: list[VersionName] = []
    provenance: ProvenanceView | None = None


class VersionName(msgspec.Struct, frozen=True):
    model: str
    version: int


class LoggedModelPage(msgspec.Struct, frozen=True):
    logged_models: list[LoggedModelView]
    total: int


class CreateModel(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    description: str = ""
    tags: dict[str, str] = {}


class ChangeModel(msgspec.Struct, forbid_unknown_fields=True):
    """Fields that are left out stay as they are. A tag whose value is null is removed."""

    name: str | None = None
    description: str | None = None
    tags: dict[str, str | None] = {}


class RegisterVersion(msgspec.Struct, forbid_unknown_fields=True):
    """The registered model is made when there is none of that name. Registering the same logged model again gives its version."""

    logged_model_id: str
    description: str = ""
    tags: dict[str, str] = {}


class ChangeVersion(msgspec.Struct, forbid_unknown_fields=True):
    """What may change about a version: words about it, never what it points to. A tag whose value is null is removed."""

    description: str | None = None
    tags: dict[str, str | None] = {}


class SetAlias(msgspec.Struct, forbid_unknown_fields=True):
    """expected: the version that the alias must name now (0: none), so that two people do not overwrite each other's move."""

    version: int
    expected: int | None = None


class FillCard(msgspec.Struct, forbid_unknown_fields=True):
    """Texts for the fields that a person fills; an empty text or null clears one."""

    fields: dict[str, str | None]


class ModelView(msgspec.Struct, frozen=True):
    """aliases: name -> version. newest: highest version number that still exists, None before the first."""

    name: str
    description: str
    created: int
    updated: int
    creator: str
    newest: int | None
    versions: int
    aliases: dict[str, int]
    tags: dict[str, str] = {}


class ModelPage(msgspec.Struct, frozen=True):
    models: list[ModelView]
    total: int


class VersionView(msgspec.Struct, frozen=True):
    """A version and what its logged model says. warnings: what a reader should know, such as a compiled engine that failed parity.

    source: the address that it was registered from. logged_model_id, manifest_digest: None when its files lie there and not in Tilth.
    """

    model: str
    version: int
    logged_model_id: str | None
    manifest_digest: str | None
    source: str
    run_id: str | None
    status: str
    stage: str
    description: str
    created: int
    updated: int
    creator: str
    aliases: list[str]
    tags: dict[str, str]
    flavour: str
    size: int
    engine: str
    unservable: str
    warnings: list[str]
    in_use_by: list[str]
    compiled: list[CompiledEngine] = []


class ModelDetail(msgspec.Struct, frozen=True):
    model: ModelView
    versions: list[VersionView]
    versions_total: int


class AliasMove(msgspec.Struct, frozen=True):
    """previous None: the alias was new; version None: it was removed."""

    alias: str
    previous: int | None
    version: int | None
    moved: int
    by: str


class VersionDetail(msgspec.Struct, frozen=True):
    version: VersionView
    logged_model: LoggedModelView | None
    card: Card
    alias_moves: list[AliasMove]


class CardFact(msgspec.Struct, frozen=True):
    name: str
    value: str


class CardField(msgspec.Struct, frozen=True):
    """A field that a person fills. text is empty while it is missing."""

    key: str
    title: str
    text: str
    missing: bool
    asks: str
    updated: int | None = None
    by: str = ""


class CardSection(msgspec.Struct, frozen=True):
    """Facts under one heading. note: said instead of, or beside, the facts."""

    key: str
    title: str
    facts: list[CardFact]
    note: str = ""


class CardResult(msgspec.Struct, frozen=True):
    """One measured figure, as an index of models reads it. task: classification or regression. dataset_digest: of the content."""

    task: str
    dataset: str
    dataset_digest: str
    metric: str
    value: float


class Card(msgspec.Struct, frozen=True):
    """A model card: facts that Tilth knows, and what only people can say. missing: keys of the fields nobody filled yet.

    completeness: share of the fields for people that are filled, 0 to 1. license: of the tag `license` of version or model, empty when
    nobody set it. tags: the other tags, `key` or `key:value`. results: figures of the newest evaluation of each name.
    """

    title: str
    sections: list[CardSection]
    fields: list[CardField]
    missing: list[str]
    warnings: list[str]
    completeness: float = 1.0
    library: str = ""
    license: str = ""
    tags: list[str] = []
    results: list[CardResult] = []
