"""Evaluations of versions and logged models: what is asked of them, and the statements that write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, delete, func, insert, or_, select, update

from tilth.backends.sql import Tx
from tilth.core.ids import Digest
from tilth.domains.models.queries.registry import RegisteredModel
from tilth.domains.models.tables import evaluation, model_version, registered_model
from tilth.domains.models.types import UnknownEvaluation
from tilth.wire.evaluations import EvaluationPage, EvaluationView

MAX_PAGE = 500
JUDGED = 100
"""So many of the newest evaluations of a version are looked at by gates and pages."""

_NAMED = (
    *(column for column in evaluation.c if column.name not in ("model_id", "creator_id")),
    registered_model.c.name.label("model"),
)


def evaluations_of_version(tx: Tx, model: RegisteredModel, version: int, *, limit: int = JUDGED) -> list[EvaluationView]:
    """Newest first: those of the version, and those of the logged model that it is, under whatever name it was evaluated."""
    return _page(tx, model.project_id, _of_version(tx, model, version), limit, 0)


def evaluations_of_versions(tx: Tx, model: RegisteredModel, versions: Sequence[int]) -> dict[int, EvaluationView]:
    """The newest evaluation recorded for each of at most 500 versions."""
    wanted = list(versions)[:MAX_PAGE]
    newest = (
        select(func.max(evaluation.c.id))
        .where(evaluation.c.project_id == model.project_id, evaluation.c.model_id == model.id, evaluation.c.version.in_(wanted))
        .group_by(evaluation.c.version)
    )
    found = _page(tx, model.project_id, evaluation.c.id.in_(newest), MAX_PAGE, 0)
    return {each.version: each for each in found if each.version is not None}


def version_evaluations_page(tx: Tx, model: RegisteredModel, version: int, *, limit: int, offset: int) -> EvaluationPage:
    condition = _of_version(tx, model, version)
    return EvaluationPage(_page(tx, model.project_id, condition, limit, offset), _count(tx, model.project_id, condition))


def model_evaluations_page(
    tx: Tx, model: RegisteredModel, *, name: str = "", rows_digest: str = "", limit: int, offset: int
) -> EvaluationPage:
    """Of all versions of the model, newest first; of one name, or over one set of rows, where it is given."""
    conditions = [evaluation.c.model_id == model.id]
    if name:
        conditions.append(evaluation.c.name == name)
    if rows_digest:
        conditions.append(evaluation.c.rows_digest == rows_digest)
    condition = and_(*conditions)
    return EvaluationPage(_page(tx, model.project_id, condition, limit, offset), _count(tx, model.project_id, condition))


def logged_model_evaluations_page(tx: Tx, project_id: str, logged_model_id: str, *, limit: int, offset: int) -> EvaluationPage:
    condition = evaluation.c.logged_model_id == logged_model_id
    return EvaluationPage(_page(tx, project_id, condition, limit, offset), _count(tx, project_id, condition))


def evaluation_by_id(tx: Tx, project_id: str, evaluation_id: str) -> EvaluationView:
    """Raises UnknownEvaluation."""
    found = _page(tx, project_id, evaluation.c.id == evaluation_id, 1, 0)
    if not found:
        raise UnknownEvaluation(evaluation_id)
    return found[0]


def known_evaluations(tx: Tx, project_id: str, ids: Sequence[str]) -> set[str]:
    """Those of at most 500 ids that exist."""
    rows = tx.all(select(evaluation.c.id).where(evaluation.c.project_id == project_id, evaluation.c.id.in_(list(ids)[:MAX_PAGE])))
    return {row.id for row in rows}


def insert_evaluation(tx: Tx, row: Mapping[str, Any]) -> None:
    tx.run(insert(evaluation).values(**row))


def keep_scores(tx: Tx, project_id: str, evaluation_id: str, size: int) -> bool:
    """False when the evaluation has its scores already. size in bytes."""
    changed = tx.run(
        update(evaluation)
        .where(evaluation.c.project_id == project_id, evaluation.c.id == evaluation_id, evaluation.c.scores_size.is_(None))
        .values(scores_size=size)
    )
    return changed == 1


def delete_evaluations(tx: Tx, project_id: str, logged_model_id: str) -> list[Digest]:
    """Forgets the evaluations of a logged model; digests of the scores that were kept for them."""
    condition = and_(evaluation.c.project_id == project_id, evaluation.c.logged_model_id == logged_model_id)
    kept = tx.all(select(evaluation.c.scores_digest).where(condition, evaluation.c.scores_size.is_not(None)))
    tx.run(delete(evaluation).where(condition))
    return [Digest(row.scores_digest) for row in kept]


def _of_version(tx: Tx, model: RegisteredModel, version: int) -> Any:
    logged_model_id = tx.scalar(
        select(model_version.c.logged_model_id).where(
            model_version.c.project_id == model.project_id,
            model_version.c.model_id == model.id,
            model_version.c.version == version,
        )
    )
    own = and_(evaluation.c.model_id == model.id, evaluation.c.version == version)
    return own if logged_model_id is None else or_(own, evaluation.c.logged_model_id == logged_model_id)


def _page(tx: Tx, project_id: str, condition: Any, limit: int, offset: int) -> list[EvaluationView]:
    rows = tx.all(
        select(*_NAMED)
        .select_from(evaluation.outerjoin(registered_model, registered_model.c.id == evaluation.c.model_id))
        .where(evaluation.c.project_id == project_id, condition)
        .order_by(evaluation.c.id.desc())
        .limit(max(1, min(limit, MAX_PAGE)))
        .offset(offset)
    )
    return [_view(row) for row in rows]


def _count(tx: Tx, project_id: str, condition: Any) -> int:
    return int(tx.scalar(select(func.count()).select_from(evaluation).where(evaluation.c.project_id == project_id, condition)))


def _view(row: Any) -> EvaluationView:
    return msgspec.convert(
        {
            **row.body,
            **{name: getattr(row, name) for name in _PLAIN},
            "by": row.creator_name,
        },
        EvaluationView,
    )


_PLAIN = (
    "id", "name", "logged_model_id", "model", "version", "dataset", "dataset_digest", "rows_digest", "rows", "task",
    "run_id", "scores_digest", "scores_size", "created",
)  # fmt: skip
