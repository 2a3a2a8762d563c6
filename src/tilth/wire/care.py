"""Care of runs over HTTP: many at once, retention rules, the trash. Moments in ms since the epoch, spans in days."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from tilth.wire.tracking import Request

BulkDo = Literal["archive", "unarchive", "delete", "restore", "tag", "move"]
RetentionDo = Literal["archive", "delete", "drop_artifacts", "drop_points"]
TrashKind = Literal["run", "experiment", "model", "model_version", "logged_model"]

MAX_BULK_RUNS = 10_000


class BulkRuns(Request):
    """One change to many runs, named by `runs` or by `filter` (with `experiment`, a name, to narrow it): at most 10,000.

    tags: for `tag`; null removes one. to: name of the experiment for `move`. dry_run: only tells which runs it would change.
    """

    do: BulkDo
    runs: list[str] | None = None
    filter: str | None = None
    experiment: str | None = None
    tags: dict[str, str | None] = field(default_factory=dict)
    to: str = ""
    dry_run: bool = False


class BulkResult(Struct):
    """runs: ids that changed (would change, in a dry run). unchanged: how many were so already."""

    do: BulkDo
    runs: list[str]
    unchanged: int
    dry_run: bool


class RetentionCreate(Request):
    """`action` happens to the runs that `filter` names (empty: all), `after_days` after they ended."""

    action: RetentionDo
    after_days: int
    filter: str = ""


class RetentionRule(Struct):
    id: str
    action: RetentionDo
    filter: str
    after_days: int
    created: int
    creator: str


class RetentionRules(Struct):
    """trash_days: days that deleted things can be restored."""

    rules: list[RetentionRule]
    trash_days: int


class RetentionApply(Request):
    """dry_run: only plan."""

    dry_run: bool = False


class RetentionStep(Struct):
    """What one rule does now. runs: ids, at most 1,000 per step. count: artifacts or metric points that go, runs otherwise.

    bytes: size of the artifacts that go.
    """

    rule: str
    action: RetentionDo
    runs: list[str]
    count: int
    bytes: int = 0


class RetentionReport(Struct):
    """more: whether a rule reaches further runs, which the next round takes.

    spared: runs that rules name and that lose nothing, since model versions came from them.
    """

    steps: list[RetentionStep]
    dry_run: bool
    more: bool
    spared: int = 0


class TrashEntry(Struct):
    """goes: moment from which it is really deleted. name: of a version, `model/number`."""

    kind: TrashKind
    id: str
    name: str
    deleted: int
    goes: int


class TrashList(Struct):
    """At most 1,000 of each kind, longest deleted first. waiting: purged runs whose rows are still being removed."""

    entries: list[TrashEntry]
    trash_days: int
    waiting: int


class TrashEmpty(Request):
    """Really deletes what was deleted at least `older_than_days` ago. ids: only these things of the trash."""

    older_than_days: int = 0
    ids: list[str] | None = None
    dry_run: bool = False


class TrashEmptied(Struct):
    """How many of each kind went (would go)."""

    counts: dict[TrashKind, int]
    dry_run: bool
