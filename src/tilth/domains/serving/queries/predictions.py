"""Files of shipped predictions: what is asked of them, and the statements that write them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, delete, func, insert, or_, select

from tilth.backends.sql import Row, Tx
from tilth.core.clock import Millis
from tilth.domains.models import queries as models
from tilth.domains.models.types import UnknownModel, UnknownVersion
from tilth.domains.serving.queries.deployments import deployment_of
from tilth.domains.serving.tables import deployment, prediction_file, prediction_segment, scored_prediction
from tilth.domains.serving.types import Deployment
from tilth.domains.serving.types.predictions import PredictionFile, UnknownShippedVersion

MAX_FILES = 1000
MAX_LABELS = 10_000
_IDS_AT_ONCE = 500


def file_of(row: Row) -> PredictionFile:
    values = {name: getattr(row, name) for name in PredictionFile.__dataclass_fields__}
    return PredictionFile(**values | {"versions": tuple(row.versions)})


def files_between(
    tx: Tx,
    project_id: str,
    deployment_id: str,
    *,
    since: Millis,
    until: Millis,
    shadow: bool = False,
    before: tuple[int, str] | None = None,
    limit: int = MAX_FILES,
) -> list[PredictionFile]:
    """Files with rows in [since, until), newest first, at most 1,000. before: (last, id) of the file that the page before ended with."""
    conditions = [
        prediction_file.c.project_id == project_id,
        prediction_file.c.deployment_id == deployment_id,
        prediction_file.c.shadow == shadow,
        prediction_file.c.last >= since,
        prediction_file.c.first < until,
    ]
    if before is not None:
        last, id_ = before
        conditions.append(or_(prediction_file.c.last < last, and_(prediction_file.c.last == last, prediction_file.c.id < id_)))
    rows = tx.all(
        select(*prediction_file.c)
        .where(*conditions)
        .order_by(prediction_file.c.last.desc(), prediction_file.c.id.desc())
        .limit(min(limit, MAX_FILES))
    )
    return [file_of(row) for row in rows]


def files_with(tx: Tx, project_id: str, deployment_id: str, prediction_id: str) -> list[PredictionFile]:
    """Files that may hold the prediction, at most 1,000: those whose ids begin at or before it and end at or after it."""
    rows = tx.all(
        select(*prediction_file.c)
        .where(
            prediction_file.c.project_id == project_id,
            prediction_file.c.deployment_id == deployment_id,
            prediction_file.c.min_id <= prediction_id,
            prediction_file.c.max_id >= prediction_id,
        )
        .order_by(prediction_file.c.shadow, prediction_file.c.id)
        .limit(MAX_FILES)
    )
    return [file_of(row) for row in rows]


def file_by_id(tx: Tx, project_id: str, deployment_id: str, file_id: str) -> PredictionFile | None:
    row = tx.one(
        select(*prediction_file.c).where(
            prediction_file.c.project_id == project_id,
            prediction_file.c.deployment_id == deployment_id,
            prediction_file.c.id == file_id,
        )
    )
    return file_of(row) if row else None


def labelled_rows(
    tx: Tx, project_id: str, deployment_id: str, *, since: Millis, until: Millis, after: tuple[int, str, int] | None = None
) -> list[Row]:
    """Rows answered in [since, until) whose label is known: at, prediction_id, row, label, label_at; oldest first, at most 10,000.

    after: (at, prediction_id, row) of the last one of the page before.
    """
    conditions = [
        scored_prediction.c.project_id == project_id,
        scored_prediction.c.deployment_id == deployment_id,
        scored_prediction.c.at >= since,
        scored_prediction.c.at < until,
        scored_prediction.c.label.is_not(None),
    ]
    place = (scored_prediction.c.at, scored_prediction.c.prediction_id, scored_prediction.c.row)
    if after is not None:
        at, id_, row = after
        conditions.append(or_(place[0] > at, and_(place[0] == at, or_(place[1] > id_, and_(place[1] == id_, place[2] > row)))))
    values = (*place, scored_prediction.c.label, scored_prediction.c.label_at)
    return tx.all(select(*values).where(*conditions).order_by(*place).limit(MAX_LABELS))


def expired_files(tx: Tx, project_id: str, deployment_id: str, before: Millis) -> list[PredictionFile]:
    """Files whose last row is older than `before`, at most 1,000."""
    rows = tx.all(
        select(*prediction_file.c)
        .where(
            prediction_file.c.project_id == project_id,
            prediction_file.c.deployment_id == deployment_id,
            prediction_file.c.last < before,
        )
        .order_by(prediction_file.c.last)
        .limit(MAX_FILES)
    )
    return [file_of(row) for row in rows]


def deployments_with_files_across_projects(tx: Tx) -> list[Deployment]:
    """Those that hold predictions, deleted ones too; at most 10,000."""
    ids = [row.deployment_id for row in tx.all(select(prediction_file.c.deployment_id).distinct().limit(10_000))]
    found: list[Deployment] = []
    for start in range(0, len(ids), _IDS_AT_ONCE):
        some = ids[start : start + _IDS_AT_ONCE]
        found += [deployment_of(row) for row in tx.all(select(*deployment.c).where(deployment.c.id.in_(some)))]
    return found


def deployment_even_gone_across_projects(tx: Tx, deployment_id: str) -> Deployment | None:
    """One that was taken down, too: its predictions stay."""
    row = tx.one(select(*deployment.c).where(deployment.c.id == deployment_id))
    return deployment_of(row) if row else None


def version_across_projects(tx: Tx, deployment_id: str, key: str) -> tuple[Deployment, models.ModelVersion]:
    """The deployment and the version that `key` (`model/3`) names. Raises UnknownShippedVersion."""
    found = deployment_even_gone_across_projects(tx, deployment_id)
    model, _, number = key.rpartition("/")
    if found is None or not number.isdecimal() or len(number) > 9:
        raise UnknownShippedVersion(deployment_id, key)
    try:
        version = models.version_of(tx, models.model_by_name(tx, found.project_id, model), int(number))
    except (UnknownModel, UnknownVersion) as error:
        raise UnknownShippedVersion(deployment_id, key) from error
    return found, version


def known_segments_across_projects(tx: Tx, ids: Sequence[str]) -> list[str]:
    """Those of the segments that were shipped before, in the order asked."""
    found: set[str] = set()
    for start in range(0, len(ids), _IDS_AT_ONCE):
        some = ids[start : start + _IDS_AT_ONCE]
        found |= {row.id for row in tx.all(select(prediction_segment.c.id).where(prediction_segment.c.id.in_(some)))}
    return [id_ for id_ in ids if id_ in found]


def small_files_across_projects(tx: Tx, most_rows: int) -> list[PredictionFile]:
    """Files of fewer rows than that, of those groups that have several, oldest group first; at most 1,000."""
    group = (prediction_file.c.deployment_id, prediction_file.c.day, prediction_file.c.columns, prediction_file.c.shadow)
    small = prediction_file.c.rows < most_rows
    crowded = select(*group).where(small).group_by(*group).having(func.count() > 1).order_by(*group[1:2]).limit(50).subquery()
    rows = tx.all(
        select(*prediction_file.c)
        .join(
            crowded,
            and_(
                prediction_file.c.deployment_id == crowded.c.deployment_id,
                prediction_file.c.day == crowded.c.day,
                prediction_file.c.columns == crowded.c.columns,
                prediction_file.c.shadow == crowded.c.shadow,
            ),
        )
        .where(small)
        .order_by(
            prediction_file.c.day,
            prediction_file.c.deployment_id,
            prediction_file.c.columns,
            prediction_file.c.shadow,
            prediction_file.c.first,
            prediction_file.c.id,
        )
        .limit(MAX_FILES)
    )
    return [file_of(row) for row in rows]


def files_by_ids_across_projects(tx: Tx, ids: Collection[str], *, lock: bool = False) -> list[PredictionFile]:
    """At most 1,000. lock: hold them against other writers until the transaction ends."""
    statement = select(*prediction_file.c).where(prediction_file.c.id.in_(list(ids))).limit(MAX_FILES)
    return [file_of(row) for row in tx.all(statement.with_for_update() if lock else statement)]


def insert_segments(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    tx.many(insert(prediction_segment), rows)


def insert_files(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    tx.many(insert(prediction_file), rows)


def delete_files_across_projects(tx: Tx, ids: Sequence[str]) -> None:
    for start in range(0, len(ids), _IDS_AT_ONCE):
        tx.run(delete(prediction_file).where(prediction_file.c.id.in_(ids[start : start + _IDS_AT_ONCE])))


def forget_segments_across_projects(tx: Tx, before: Millis) -> int:
    """Segments that were shipped before that moment; how many."""
    return tx.run(delete(prediction_segment).where(prediction_segment.c.shipped < before))
