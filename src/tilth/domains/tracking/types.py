"""Words of tracking: statuses, errors, events. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, get_args

from tilth.core.errors import Conflict, Denied, Invalid, NotFound, TooLarge
from tilth.core.events import Event
from tilth.wire.tracking import RunStatus

STATUSES: frozenset[str] = frozenset(get_args(RunStatus))
_HEX = frozenset("0123456789abcdef")
ENDED: frozenset[str] = frozenset(("finished", "failed", "killed", "lost"))


def is_run_id(text: str) -> bool:
    """32 lower-case hexadecimal digits."""
    return len(text) == 32 and _HEX.issuperset(text)


class UnknownRun(NotFound):
    def __init__(self, run_id: str) -> None:
        super().__init__(f"no run {run_id[:80]!r} in this project; `tilth run list` shows those there are")


class UnknownExperiment(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"no experiment {name[:80]!r} in this project; name one that is there; the first run in an experiment makes it"
        )


class UnknownMetric(NotFound):
    def __init__(self, key: str, run_id: str, known: list[str]) -> None:
        has = ", ".join(known[:20]) if known else "none yet"
        super().__init__(f"no metric {key[:80]!r} in run {run_id}; it has: {has}")


class UnknownArtifact(NotFound):
    def __init__(self, path: str, run_id: str) -> None:
        super().__init__(f"no artifact {path[:120]!r} in run {run_id}; list them at .../runs/{run_id}/artifacts")


class NotOfThisRun(Denied):
    """The token of a run was used to change what is not that run's."""

    def __init__(self, own: str, other: str) -> None:
        super().__init__(
            f"this is the token of run {own}: it writes that run and its children, not {other}. Take a token of your own for it"
        )


class RunDeleted(Conflict):
    """Something was written to a deleted run."""

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"run {run_id} was deleted, so nothing was written: restore it with `tilth run restore {run_id}` or start a new one"
        )


class ExperimentDeleted(Conflict):
    def __init__(self, name: str) -> None:
        super().__init__(f"experiment {name[:80]!r} was deleted; restore it or choose another name")


class ExperimentExists(Conflict):
    def __init__(self, name: str, deleted: bool) -> None:
        self.name = name
        what = "exists but was deleted: restore it" if deleted else "exists already: use it"
        super().__init__(f"experiment {name[:80]!r} {what}, or choose another name")


class DefaultExperimentStays(Conflict):
    def __init__(self) -> None:
        super().__init__("the experiment `Default` cannot be deleted: runs that name no experiment go there")


class ParamChanged(Conflict):
    """Params are facts about how a run was started: written once."""

    def __init__(self, key: str, run_id: str, old: str, new: str) -> None:
        self.key, self.run_id, self.old, self.new = key, run_id, old, new
        super().__init__(
            f"param {key!r} of run {run_id} is {old[:200]!r} and cannot become {new[:200]!r}; "
            "params are written once: log a changing value as a metric or a tag, or start another run"
        )


class RunIdTaken(Conflict):
    def __init__(self, run_id: str) -> None:
        super().__init__(f"run id {run_id} is taken by another run; leave `id` out to get a new one")


class RunIsItsOwnAncestor(Conflict):
    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} cannot be its own parent; leave `parent_run_id` out")


class ArtifactClash(Conflict):
    """A path would be a file and a folder at once."""

    def __init__(self, path: str, existing: str) -> None:
        super().__init__(
            f"artifact {path[:120]!r} cannot be written: {existing[:120]!r} is there; a name is a file or a folder, not both"
        )


class UnknownUpload(NotFound):
    def __init__(self, upload_id: str) -> None:
        super().__init__(
            f"no upload {upload_id[:80]!r} of yours in this project: it was used, given up, or left alone for a day; open another"
        )


class UploadComplete(Conflict):
    def __init__(self, upload_id: str) -> None:
        super().__init__(f"upload {upload_id} is complete and takes no more parts; use it, or open another")


class IncompleteUpload(Conflict):
    def __init__(self, upload_id: str, missing: Sequence[int], reason: str = "parts are missing") -> None:
        numbers = ", ".join(map(str, missing[:10])) + (" and more" if len(missing) > 10 else "")
        super().__init__(
            f"upload {upload_id} cannot be used: {f'parts {numbers} are missing' if missing else reason}; send the rest"
        )


class TooManyUploads(Conflict):
    def __init__(self, most: int) -> None:
        super().__init__(f"{most} uploads are open in this project; complete or delete some, or wait: idle ones go after a day")


class UploadTooLarge(TooLarge):
    def __init__(self, size: int, most: int) -> None:
        super().__init__(f"the file has {size:,} bytes; at most {most:,} are allowed here (setting max_artifact_bytes)")


class InvalidUpload(Invalid):
    """A field or a part of an upload breaks a rule."""


class InvalidBatch(Invalid):
    """A value of a batch breaks a rule."""


class BatchTooLarge(TooLarge):
    def __init__(self, what: str, count: int, most: int) -> None:
        super().__init__(f"{count} {what} in one request; at most {most} are allowed: send several requests")


class ValueTooLong(TooLarge):
    def __init__(self, what: str, chars: int, most: int) -> None:
        super().__init__(f"{what} has {chars} characters; at most {most} are allowed: log it as an artifact instead")


class InvalidRunFilter(Invalid):
    """position: index of the character at which the text stopped making sense."""

    def __init__(self, reason: str, text: str, position: int) -> None:
        self.position = position
        shown = text[max(0, position - 20) : position + 20]
        super().__init__(
            f"filter: {reason} at character {position + 1} (near {shown!r}); write e.g. `auc>0.7 params.depth=7 maple`"
        )


class UnknownSweep(NotFound):
    def __init__(self, run_id: str) -> None:
        super().__init__(f"no sweep {run_id[:80]!r} in this project; `tilth sweep list` shows those there are")


class SweepIsOver(Conflict):
    def __init__(self, run_id: str, state: str) -> None:
        super().__init__(f"sweep {run_id} is {state}: there is nothing to stop")


class InvalidOrder(Invalid):
    def __init__(self, text: str) -> None:
        super().__init__(
            f"order {text[:80]!r} is not understood; use e.g. `metrics.auc desc`, `params.depth`, `start_time`, `name asc`"
        )


class InvalidGroup(Invalid):
    def __init__(self, text: str) -> None:
        super().__init__(
            f"runs cannot be grouped by {text[:80]!r}: name a param, a tag, or one of status, user, source, experiment"
        )


class InvalidPage(Invalid):
    """limit or page_token make no sense."""


class SearchTooSlow(Invalid):
    """A search looked at too many runs in vain. Sending it again cannot help."""

    def __init__(self, seconds: float, broad: str) -> None:
        super().__init__(
            f"the search was ended after {seconds:g} s: {broad}; add a term that few runs meet (an experiment, a tag, a range of "
            "start_time), or order by start_time"
        )


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """A run came to its end: finished, failed, killed or lost."""

    name: ClassVar[str] = "run.ended"

    project_id: str
    experiment_id: str
    run_id: str
    status: str
