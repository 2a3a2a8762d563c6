"""Labels come in, predictions come in; whichever comes second finds the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tilth.backends.sql import Tx
from tilth.core.actors import Actor
from tilth.core.clock import SECOND, now
from tilth.core.errors import Invalid
from tilth.core.ids import ProjectId, new_id
from tilth.domains.audit.actions import record
from tilth.domains.models import queries as models
from tilth.domains.serving.actions.generations import Change, Form, again, apply, checked_note
from tilth.domains.serving.actions.rollout_labels import counted
from tilth.domains.serving.queries import ab_tests, deployments, labels
from tilth.domains.serving.queries import label_statements as statements
from tilth.domains.serving.rules.labels import LabelReader, classes_of, without_repeats
from tilth.domains.serving.types import Deployment
from tilth.domains.serving.types.labels import OF_A_KEY, OF_THE_REQUEST, Label, SeveralRows, UnknownKeyColumn
from tilth.wire.labels import MAX_LABELS, MOST_SCORES_A_DAY, LabelsLogged, ScoredRows


class TooManyLabels(Invalid):
    """More labels than one call takes."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"{count} labels came in one call; send at most {MAX_LABELS}, as `tilth.labels.log` and `tilth labels log` do"
        )


def read_labels(tx: Tx, project_id: ProjectId, name: str, rows: Sequence[Mapping[str, Any]]) -> list[Label]:
    """What the rows of a call say, checked as a whole before anything is kept; in the order in which labels are kept.

    Raises UnknownDeployment, InvalidLabel, SeveralRows, TooManyLabels.
    """
    if len(rows) > MAX_LABELS:
        raise TooManyLabels(len(rows))
    found = deployments.deployment_by_name(tx, project_id, name)
    read = without_repeats(LabelReader(found.settings.label_key, _classes(tx, found), now()).read(rows))
    several = labels.answered_several_rows(tx, project_id, found.id, sorted({each.ref for each in read if each.bare}))
    if several is not None:
        raise SeveralRows(several)
    return read


def log_labels(tx: Tx, actor: Actor, project_id: ProjectId, name: str, read: Sequence[Label]) -> LabelsLogged:
    """Keeps what came true of predictions. The same value again changes nothing; another one is a correction, and the old one is kept.

    read: by read_labels; a few thousand at most, as a job of the database should be short. A label whose prediction is not known
    waits for it. Raises UnknownDeployment.
    """
    # Held until the end: labels and predictions that come at the same time must find each other.
    found = deployments.deployment_by_name(tx, project_id, name, lock=True)
    at = now()
    stored = labels.values_of(tx, project_id, found.id, [each.ref for each in read])
    changed = [
        _row(found, actor, at, each) for each in read if stored.get((each.ref, each.row, each.at), each.value) != each.value
    ]
    new = [_row(found, actor, at, each) for each in read if (each.ref, each.row, each.at) not in stored]
    by_key = [row for row in (*new, *changed) if row["row"] == OF_A_KEY]
    with counted(tx, found, [each.ref for each in read if each.row != OF_A_KEY], [row["ref"] for row in by_key]):
        tx.many(statements.KEEP_OLD, changed)
        tx.many(statements.CORRECT, changed)
        matched = _insert_matched(tx, found, new)
        matched += tx.many(statements.LABEL_ROW, [row for row in changed if row["row"] != OF_A_KEY])
        matched += tx.many(statements.LABEL_ROWS_OF_KEY, by_key)
        tx.many(statements.MARK_KEY_MATCHED, by_key)
    if changed:
        record(tx, actor, "label.corrected", project_id=project_id, thing=name, detail={"labels": len(changed)})
    return LabelsLogged(
        received=len(read),
        new=len(new),
        unchanged=len(read) - len(new) - len(changed),
        corrected=len(changed),
        repeated=0,
        matched=matched,
        waiting=labels.count_waiting(tx, project_id, found.id),
    )


def declare_label_key(
    tx: Tx, actor: Actor, project_id: ProjectId, name: str, key: tuple[str, ...], window_s: int, note: str = ""
) -> Deployment:
    """Labels may name these columns instead of a prediction from now on: a new generation with other settings, and the same routes.

    Raises UnknownDeployment, UnknownKeyColumn, NotServable when a version it routes to was deleted meanwhile.
    """
    found = deployments.deployment_by_name(tx, project_id, name, lock=True)
    document = models.logged_model_by_id(tx, project_id, found.routes[-1].logged_model_id).document
    known = [column.name for column in document.signature.inputs] if document is not None else []
    for column in key:
        if column not in (*known, *OF_THE_REQUEST):
            raise UnknownKeyColumn(column, (*known, *OF_THE_REQUEST))
    settings = msgspec.structs.replace(found.settings, label_key=key, label_window_s=window_s)
    model, routes = again(tx, project_id, found.routes)
    form = Form(found.model_id, model, routes, found.alias, settings, found.version)
    words = note or (f"labels may name {', '.join(key)}" if key else "labels name predictions only")
    return apply(tx, Change(actor, "settings", checked_note(words)), found, form)


def keep_scores(tx: Tx, deployment_id: str, block: ScoredRows) -> int:
    """Keeps what labels are joined to, and joins what waits. A row that is known changes nothing. Returns how many were kept.

    Of a deployment that has neither labels nor an A/B test, only so many rows a day are kept; of one that is gone none are.
    """
    found = deployments.deployment_across_projects(tx, deployment_id, lock=True)
    if found is None:
        return 0
    project_id = ProjectId(found.project_id)
    waiting = labels.some_wait(tx, project_id, found.id)
    rows = _scored_rows(found, block)
    if rows and not _measured(tx, found):
        room = MOST_SCORES_A_DAY - labels.scored_on_day(tx, project_id, found.id, rows[0]["at"], MOST_SCORES_A_DAY)
        rows = rows[: max(room, 0)]
    named = labels.labelled_keys(tx, project_id, found.id, [row["join_key"] for row in rows if row["join_key"] is not None])
    keyed = [{**row, "window_ms": found.settings.label_window_s * SECOND} for row in rows if row["join_key"] in named]
    if not waiting and not keyed:
        return tx.many(statements.INSERT_SCORED, rows)
    with counted(tx, found, [row["prediction_id"] for row in rows]):
        kept = tx.many(statements.INSERT_SCORED, rows)
        if waiting:
            tx.many(statements.TAKE_LABEL, rows)
            tx.many(statements.TAKEN, rows)
        tx.many(statements.TAKE_LABEL_OF_KEY, keyed)
        tx.many(statements.TAKEN_OF_KEY, keyed)
    return kept


def wants_scores(tx: Tx, found: Deployment, at: int) -> bool:
    """Whether `keep_scores` would keep rows of the UTC day of `at`, so that nobody sends what is thrown away."""
    if _measured(tx, found):
        return True
    return labels.scored_on_day(tx, found.project_id, found.id, at, MOST_SCORES_A_DAY) < MOST_SCORES_A_DAY


def _measured(tx: Tx, found: Deployment) -> bool:
    """Whether every row counts: labels come for it, or an A/B test counts its units."""
    if found.settings.label_key or labels.has_labels(tx, found.project_id, found.id):
        return True
    return ab_tests.running_ab_test(tx, found.project_id, found.id) is not None


def forget_old_labels(tx: Tx, project_id: ProjectId, deployment_id: str, before: int, most: int) -> int:
    """Lets go of scores and labels from before a moment, at most so many of each. Returns how many there were; fewer than `most`: all."""
    gone = labels.forget_scored(tx, project_id, deployment_id, before, most)
    return max(gone, labels.forget_labels(tx, project_id, deployment_id, before, most))


def _classes(tx: Tx, found: Deployment) -> tuple[str, ...]:
    """Of the model that serves; every version of a model has the classes of its task."""
    return classes_of(models.logged_model_by_id(tx, found.project_id, found.routes[-1].logged_model_id).document)


def _row(found: Deployment, actor: Actor, at: int, each: Label) -> dict[str, Any]:
    """The parameters of every statement that a label passes through."""
    return {
        "correction_id": new_id(),
        "project_id": found.project_id,
        "deployment_id": found.id,
        "ref": each.ref,
        "row": each.row,
        "at": each.at,
        "window_ms": found.settings.label_window_s * SECOND,
        "new_value": each.value,
        "new_text": each.text,
        "new_logged": at,
        "new_actor_id": actor.id,
        "new_actor_name": actor.name,
        "new_label": each.value,
        "new_label_at": each.at,
    }


def _insert_matched(tx: Tx, found: Deployment, new: Sequence[dict[str, Any]]) -> int:
    """Inserts labels, and gives those by prediction to the predictions that are known. Returns how many were."""
    by_id = [row for row in new if row["row"] != OF_A_KEY]
    known = labels.known_rows(tx, found.project_id, found.id, [row["ref"] for row in by_id])
    meets = [row for row in by_id if (row["ref"], row["row"]) in known]
    tx.many(statements.INSERT_LABEL, [_new_label(row, (row["ref"], row["row"]) in known) for row in new])
    return tx.many(statements.LABEL_ROW, meets)


def _new_label(row: Mapping[str, Any], matched: bool) -> dict[str, Any]:
    same = ("project_id", "deployment_id", "ref", "row", "at")
    fresh = ("value", "text", "logged", "actor_id", "actor_name")
    return {name: row[name] for name in same} | {name: row[f"new_{name}"] for name in fresh} | {"matched": matched}


def _scored_rows(found: Deployment, block: ScoredRows) -> list[dict[str, Any]]:
    columns = zip(
        block.prediction_ids,
        block.rows,
        block.at,
        block.models,
        block.versions,
        block.scores,
        block.units,
        block.join_keys,
        strict=True,
    )
    names = ("prediction_id", "row", "at", "model", "version", "score", "unit", "join_key")
    stamp = {"project_id": found.project_id, "deployment_id": found.id, "label": None, "label_at": None}
    # One order for everybody, see Tx.write.
    return [stamp | dict(zip(names, values, strict=True)) for values in sorted(columns, key=lambda each: (each[0], each[1]))]
