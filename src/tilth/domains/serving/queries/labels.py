"""What is asked of labels and scored predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import and_, delete, exists, func, select
from sqlalchemy.sql.elements import ColumnElement

from tilth.backends.sql import Tx
from tilth.core.clock import DAY
from tilth.domains.serving.queries.deployments import deployment_of
from tilth.domains.serving.tables import deployment, label, label_correction, scored_prediction
from tilth.domains.serving.types import Deployment
from tilth.domains.serving.types.labels import OF_A_KEY
from tilth.wire.labels import LabelVersion

MAX_WAITING = 10_000
"""Waiting labels are counted so far."""
MAX_LABELLED_SCORES = 200_000
MAX_CORRECTIONS = 100
MAX_HOLDING = 10_000
_IDS_AT_ONCE = 500

_scored, _label, _old = scored_prediction.c, label.c, label_correction.c
Floats = NDArray[np.float64]


def _in(columns: Any, project_id: str, deployment_id: str) -> ColumnElement[bool]:
    return and_(columns.project_id == project_id, columns.deployment_id == deployment_id)


def labelled_scores(tx: Tx, project_id: str, deployment_id: str, version: int, since: int, until: int) -> tuple[Floats, Floats]:
    """Scores and labels, both of shape (rows,), of what one version answered in [since, until) and has a label; the newest 200,000."""
    rows = tx.all(
        select(_scored.score, _scored.label)
        .where(
            _in(_scored, project_id, deployment_id),
            _scored.version == version,
            _scored.at >= since,
            _scored.at < until,
            _scored.label.is_not(None),
            _scored.score.is_not(None),
        )
        .order_by(_scored.at.desc())
        .limit(MAX_LABELLED_SCORES)
    )
    return _pairs(rows)


def labelled_since(
    tx: Tx, project_id: str, deployment_id: str, since: int, prediction_ids: Sequence[str], join_keys: Sequence[str]
) -> dict[int, tuple[Floats, Floats]]:
    """Scores and labels, both of shape (rows,), by version, of what was answered since a moment: of these predictions, and of those with
    these keys."""
    rows: dict[tuple[str, int], Any] = {}
    for column, wanted in ((_scored.prediction_id, prediction_ids), (_scored.join_key, join_keys)):
        for some in _in_parts(wanted):
            found = tx.all(
                select(_scored.prediction_id, _scored.row, _scored.version, _scored.score, _scored.label).where(
                    _in(_scored, project_id, deployment_id),
                    column.in_(some),
                    _scored.at >= since,
                    _scored.label.is_not(None),
                    _scored.score.is_not(None),
                )
            )
            rows |= {(row.prediction_id, row.row): row for row in found}
    versions = {row.version for row in rows.values()}
    return {version: _pairs(row for row in rows.values() if row.version == version) for version in versions}


def _pairs(rows: Iterable[Any]) -> tuple[Floats, Floats]:
    both = np.array([(row.score, row.label) for row in rows], dtype=np.float64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def versions_with_labels(tx: Tx, project_id: str, deployment_id: str, since: int, until: int) -> list[int]:
    """Versions that answered something labelled in [since, until), ascending; at most 100."""
    rows = tx.all(
        select(_scored.version)
        .where(_in(_scored, project_id, deployment_id), _scored.at >= since, _scored.at < until, _scored.label.is_not(None))
        .distinct()
        .order_by(_scored.version)
        .limit(100)
    )
    return [row.version for row in rows]


def count_waiting(tx: Tx, project_id: str, deployment_id: str) -> int:
    """Labels whose prediction is not known, counted to 10,000."""
    inner = select(_label.row).where(_in(_label, project_id, deployment_id), ~_label.matched).limit(MAX_WAITING).subquery()
    return int(tx.scalar(select(func.count()).select_from(inner)))


def some_wait(tx: Tx, project_id: str, deployment_id: str) -> bool:
    """Whether labels by prediction wait for theirs."""
    # Rows count from 0: a range of the index, while labels by key may wait by the million.
    return bool(tx.scalar(select(exists().where(_in(_label, project_id, deployment_id), ~_label.matched, _label.row > OF_A_KEY))))


def labelled_keys(tx: Tx, project_id: str, deployment_id: str, keys: Sequence[str]) -> set[str]:
    """Those of the keys that some label names."""
    found: set[str] = set()
    for some in _in_parts(keys):
        rows = tx.all(
            select(_label.ref)
            .where(_in(_label, project_id, deployment_id), _label.ref.in_(some), _label.row == OF_A_KEY)
            .distinct()
        )
        found |= {row.ref for row in rows}
    return found


def deployments_with_labels_across_projects(tx: Tx) -> list[Deployment]:
    """Those that hold labels or scores, deleted ones too; at most 10,000."""
    ids = sorted(_held_by(tx, _scored.deployment_id) | _held_by(tx, _label.deployment_id))
    found: list[Deployment] = []
    for some in _in_parts(ids):
        found += [deployment_of(row) for row in tx.all(select(*deployment.c).where(deployment.c.id.in_(some)))]
    return found


def _held_by(tx: Tx, column: ColumnElement[Any]) -> set[str]:
    found: set[str] = set()
    last = "0" * 32
    # One look into the index for each deployment: a DISTINCT would read every row.
    while len(found) < MAX_HOLDING and (row := tx.one(select(column).where(column > last).order_by(column).limit(1))) is not None:
        last = row[0]
        found.add(last)
    return found


def has_labels(tx: Tx, project_id: str, deployment_id: str) -> bool:
    return bool(tx.scalar(select(exists().where(_in(_label, project_id, deployment_id)))))


def values_of(tx: Tx, project_id: str, deployment_id: str, refs: Sequence[str]) -> dict[tuple[str, int, int], float]:
    """Stored labels of these predictions or keys by (ref, row, at)."""
    found: dict[tuple[str, int, int], float] = {}
    for some in _in_parts(refs):
        rows = tx.all(
            select(_label.ref, _label.row, _label.at, _label.value).where(
                _in(_label, project_id, deployment_id), _label.ref.in_(some)
            )
        )
        found |= {(row[0], row[1], row[2]): row[3] for row in rows}
    return found


def known_rows(tx: Tx, project_id: str, deployment_id: str, prediction_ids: Sequence[str]) -> set[tuple[str, int]]:
    """Which rows of these predictions are known, as (prediction id, row)."""
    found: set[tuple[str, int]] = set()
    for some in _in_parts(prediction_ids):
        rows = tx.all(
            select(_scored.prediction_id, _scored.row).where(
                _in(_scored, project_id, deployment_id), _scored.prediction_id.in_(some)
            )
        )
        found |= {(row[0], row[1]) for row in rows}
    return found


def _in_parts(ids: Sequence[str]) -> Iterator[list[str]]:
    """Distinct ids, so many at a time as one statement takes."""
    distinct = sorted(set(ids))
    for start in range(0, len(distinct), _IDS_AT_ONCE):
        yield distinct[start : start + _IDS_AT_ONCE]


def answered_several_rows(tx: Tx, project_id: str, deployment_id: str, prediction_ids: Sequence[str]) -> str | None:
    """The first of these predictions that answered more than one row, as far as is known; None if there is none such."""
    for some in _in_parts(prediction_ids):
        found = tx.one(
            select(_scored.prediction_id)
            .where(_in(_scored, project_id, deployment_id), _scored.prediction_id.in_(some), _scored.row == 1)
            .limit(1)
        )
        if found is not None:
            return str(found.prediction_id)
    return None


def scored_on_day(tx: Tx, project_id: str, deployment_id: str, at: int, most: int) -> int:
    """Rows kept of the UTC day of `at`, counted to `most`."""
    start = at - at % DAY
    inner = (
        select(_scored.row)
        .where(_in(_scored, project_id, deployment_id), _scored.at >= start, _scored.at < start + DAY)
        .limit(most)
        .subquery()
    )
    return int(tx.scalar(select(func.count()).select_from(inner)))


def labels_of(tx: Tx, project_id: str, deployment_id: str, prediction_ids: Sequence[str]) -> dict[tuple[str, int], str]:
    """The labels of these predictions as they were given, by (prediction id, row). One by prediction wins over one by key."""
    by_key: dict[tuple[str, int], str] = {}
    by_id: dict[tuple[str, int], str] = {}
    for some in _in_parts(prediction_ids):
        keyed = and_(_label.deployment_id == deployment_id, _label.ref == _scored.join_key, _label.row == OF_A_KEY)
        rows = tx.all(
            select(_scored.prediction_id, _scored.row, _label.text)
            .join_from(scored_prediction, label, and_(keyed, _label.at == _scored.label_at))
            .where(_in(_scored, project_id, deployment_id), _scored.prediction_id.in_(some), _scored.label.is_not(None))
        )
        by_key |= {(row[0], row[1]): row[2] for row in rows}
        rows = tx.all(
            select(_label.ref, _label.row, _label.text).where(
                _in(_label, project_id, deployment_id), _label.ref.in_(some), _label.row > OF_A_KEY, _label.at == 0
            )
        )
        by_id |= {(row[0], row[1]): row[2] for row in rows}
    return by_key | by_id


def label_history(tx: Tx, project_id: str, deployment_id: str, prediction_id: str, row: int) -> list[LabelVersion]:
    """The label of one row of a prediction, newest first: as it is, then what it was before; at most 100 corrections."""
    present = tx.one(
        select(_label.value, _label.text, _label.logged, _label.actor_name).where(
            _in(_label, project_id, deployment_id), _label.ref == prediction_id, _label.row == row, _label.at == 0
        )
    )
    if present is None:
        return []
    earlier = tx.all(
        select(_old.value, _old.text, _old.logged, _old.actor_name, _old.replaced)
        .where(_in(_old, project_id, deployment_id), _old.ref == prediction_id, _old.row == row, _old.at == 0)
        .order_by(_old.replaced.desc(), _old.id.desc())
        .limit(MAX_CORRECTIONS)
    )
    now = LabelVersion(present.text, present.value, present.logged, present.actor_name)
    return [now, *(LabelVersion(old.text, old.value, old.logged, old.actor_name, old.replaced) for old in earlier)]


def forget_scored(tx: Tx, project_id: str, deployment_id: str, before: int, most: int) -> int:
    """Lets go of scored predictions from before a moment, at most so many. Returns how many."""
    oldest = (
        select(_scored.prediction_id, _scored.row)
        .where(_in(_scored, project_id, deployment_id), _scored.at < before)
        .order_by(_scored.at)
        .limit(most)
        .subquery()
    )
    return tx.run(
        delete(scored_prediction).where(
            _in(_scored, project_id, deployment_id),
            exists().where(_scored.prediction_id == oldest.c.prediction_id, _scored.row == oldest.c.row),
        )
    )


def forget_labels(tx: Tx, project_id: str, deployment_id: str, before: int, most: int) -> int:
    """Lets go of labels that were logged before a moment, at most so many, oldest first, with their corrections. Returns how many."""
    logged = select(_label.logged).where(_in(_label, project_id, deployment_id), _label.logged < before)
    # Whole moments go at once: one that is cut would leave corrections of labels that are gone.
    edge = tx.scalar(logged.order_by(_label.logged).offset(most).limit(1))
    edge = before if edge is None else max(int(edge), int(tx.scalar(logged.order_by(_label.logged).limit(1))) + 1)
    tx.run(delete(label_correction).where(_in(_old, project_id, deployment_id), _old.replaced < edge))
    return tx.run(delete(label).where(_in(_label, project_id, deployment_id), _label.logged < edge))
