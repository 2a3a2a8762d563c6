"""Events, errors and values of the models domain. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from tilth.core.errors import Conflict, Damaged, Denied, Invalid, NotFound
from tilth.core.events import Event

LoggedModelStatus = Literal["pending", "ready", "failed"]
STAGES = ("None", "Staging", "Production", "Archived")
"""MLflow's four words for the life of a version; aliases say the same better."""


@dataclass(frozen=True, slots=True)
class ModelVersionRegistered(Event):
    """A version of a registered model now exists; it never changes what it points to. Without a logged model its files lie elsewhere."""

    name: ClassVar[str] = "model_version.registered"
    project_id: str
    model: str
    version: int
    logged_model_id: str | None
    manifest_digest: str | None


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
class VersionEvaluated(Event):
    """A version was measured. evaluation: its name, such as `validation`. by: name of who recorded it."""

    name: ClassVar[str] = "model_version.evaluated"
    project_id: str
    model: str
    version: int
    evaluation_id: str
    evaluation: str
    by: str


@dataclass(frozen=True, slots=True)
class VersionApproved(Event):
    """A person let a version pass. by: name of who decided."""

    name: ClassVar[str] = "model_version.approved"
    project_id: str
    model: str
    version: int
    by: str
    comment: str


@dataclass(frozen=True, slots=True)
class VersionRejected(Event):
    """A person refused a version. by: name of who decided."""

    name: ClassVar[str] = "model_version.rejected"
    project_id: str
    model: str
    version: int
    by: str
    comment: str


@dataclass(frozen=True, slots=True)
class ResolvedVersion:
    """A version that a name, a number or an alias led to, with what it takes to serve it. Immutable once registered.

    unservable: why the version cannot be served, empty when it can. logged_model_id, manifest_digest: None only for what cannot.
    """

    model_id: str
    model: str
    version: int
    logged_model_id: str | None
    manifest_digest: str | None
    unservable: str


class UnknownLoggedModel(NotFound):
    def __init__(self, logged_model_id: str) -> None:
        super().__init__(f"no logged model {logged_model_id[:80]!r} in this project; `tilth.log_model(...)` makes one")


class UnknownModel(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__(f"no model {name[:80]!r} in this project; `tilth model list` and the page Models show those there are")


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


class ModelParamChanged(Conflict):
    """Params are facts about how a model was made: written once. Raised by: add_params."""

    def __init__(self, logged_model_id: str, key: str, old: str, new: str) -> None:
        self.key, self.old, self.new = key, old, new
        super().__init__(
            f"param {key!r} of logged model {logged_model_id} is {old[:200]!r} and cannot become {new[:200]!r}; "
            "params are written once: say a changing value with a tag"
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


class UnknownCardField(Invalid):
    def __init__(self, field: str, known: tuple[str, ...]) -> None:
        super().__init__(f"a model card has no field {field[:80]!r} to fill in; it has: {', '.join(known)}")


class InvalidSource(Invalid):
    """The address that a version is to be registered from is not one that it can have."""


class UnknownStage(Invalid):
    def __init__(self, stage: str) -> None:
        super().__init__(f"Invalid Model Version stage: {stage[:80]}. Value must be one of {', '.join(STAGES)}.")


class TooLongText(Invalid):
    """A text is above its bound."""


class InvalidGate(Invalid):
    """A gate that does not read as one. at: the character, from 0, where it goes wrong."""

    def __init__(self, text: str, at: int, wrong: str) -> None:
        self.at = at
        super().__init__(
            f"gate {text[:120]!r}, at character {at + 1}: {wrong}. Write such as `auc >= 0.7`, `auc[origin=JFK] >= 0.6`, "
            "`latency_p99_ms < 20` or `auc beats @champion by 0.005`"
        )


class GateExists(Conflict):
    def __init__(self, model: str, number: int, expression: str) -> None:
        super().__init__(f"gate {number} of model {model!r} says `{expression}` for the same evaluation and aliases already")


class UnknownGate(NotFound):
    def __init__(self, model: str, number: int) -> None:
        super().__init__(f"model {model!r} has no gate {number}; `tilth gate list {model}` lists them")


class TooManyGates(Invalid):
    def __init__(self, model: str, most: int) -> None:
        super().__init__(f"model {model!r} has {most} gates, and no more are kept; remove one first")


class GateFailed(Conflict):
    """An alias was refused to a version by gates. failed: (expression, what it found)."""

    def __init__(self, model: str, version: int, alias: str, failed: list[tuple[str, str]], advice: str) -> None:
        said = "; ".join(f"gate `{expression}`: {reason}" for expression, reason in failed)
        super().__init__(f"{model}@{alias} does not move to version {version}. {said}. {advice}")


class NotApproved(Conflict):
    """An alias was refused to a version that nobody approved."""

    def __init__(self, model: str, version: int, alias: str, state: str) -> None:
        super().__init__(
            f"{model}@{alias} is only for approved versions, and version {version} {state}. "
            f"Ask with `tilth model request-approval {model}/{version}`; a maintainer who is not its author approves it"
        )


class WrongApprovalState(Conflict):
    """An approval cannot take this step now."""


class OwnApproval(Conflict):
    """Who made a version, or asked for its approval, may not decide about it."""

    def __init__(self, who: str, model: str, version: int, did: str) -> None:
        super().__init__(
            f"{who} {did} version {version} of {model!r} and may not decide about it: ask another maintainer, or let an owner "
            f"say `tilth model policy {model} --no-separate-duties`"
        )


class GuardedName(Denied):
    """A name that gates or a policy guard was to be given up, and would have been free for a model without them."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"model {model!r} has gates or a policy of its own, which would not hold for the next model of that name: let an owner "
            "rename or delete it"
        )


class UnknownEvaluation(NotFound):
    def __init__(self, evaluation_id: str) -> None:
        super().__init__(f"no evaluation {evaluation_id[:80]!r} in this project; `tilth model evaluations NAME` lists them")


class InvalidEvaluation(Invalid):
    """A record of an evaluation that contradicts itself or is above a bound."""


class ScoresSealed(Conflict):
    def __init__(self, evaluation_id: str) -> None:
        super().__init__(f"evaluation {evaluation_id} keeps no scores under that digest, or has them already; they never change")


class NoScores(NotFound):
    def __init__(self, evaluation_id: str) -> None:
        super().__init__(
            f"evaluation {evaluation_id} has no scores per row; evaluations of up to 200,000 rows by tilth.evaluate keep them"
        )


class InvalidProvenance(Invalid):
    """What is said about a model from elsewhere contradicts itself or is above a bound."""


class NotImported(NotFound):
    def __init__(self, logged_model_id: str) -> None:
        super().__init__(
            f"logged model {logged_model_id} was not imported from elsewhere: there is nothing to trust; "
            "`tilth import-model` imports one"
        )


class ReasonMissing(Invalid):
    def __init__(self) -> None:
        super().__init__(
            "this needs a reason of 3 to 1,000 characters: it is kept in the audit trail and shown beside what it allows"
        )
