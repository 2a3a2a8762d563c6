"""The statements that labels and scored predictions are written by. Hot: built once, executed as text, once for each row of a batch."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, bindparam, exists, insert, literal_column, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from tilth.backends.sql import Hot, hot, upsert
from tilth.domains.serving.tables import label, label_correction, scored_prediction
from tilth.domains.serving.types.labels import OF_A_KEY

_scored, _label = scored_prediction.c, label.c
_KEPT = ("value", "text", "logged", "actor_id", "actor_name")


_parameters: dict[str, Any] = {}


def _bound(column: Any, name: str = "") -> Any:
    """One parameter for each name: a hot statement converts the value of each parameter once."""
    called = name or column.name
    return _parameters.setdefault(called, bindparam(called, type_=column.type))


def _in_deployment(columns: Any) -> ColumnElement[bool]:
    return and_(columns.project_id == _bound(columns.project_id), columns.deployment_id == _bound(columns.deployment_id))


def _set(*columns: Any) -> dict[str, Any]:
    return {column.name: _bound(column, f"new_{column.name}") for column in columns}


_named = and_(
    _in_deployment(_label), _label.ref == _bound(_label.ref), _label.row == _bound(_label.row), _label.at == _bound(_label.at)
)
_differs = _label.value != _bound(_label.value, "new_value")
_window = bindparam("window_ms", type_=_label.at.type)

KEEP_OLD: Hot = hot(
    insert(label_correction).from_select(
        ["id", "deployment_id", "ref", "row", "at", "project_id", *_KEPT, "replaced", "replaced_by_id", "replaced_by_name"],
        select(
            _bound(label_correction.c.id, "correction_id"),
            _label.deployment_id,
            _label.ref,
            _label.row,
            _label.at,
            _label.project_id,
            *(_label[name] for name in _KEPT),
            _bound(_label.logged, "new_logged"),
            _bound(_label.actor_id, "new_actor_id"),
            _bound(_label.actor_name, "new_actor_name"),
        ).where(_named, _differs),
    )
)
"""The stored label is kept, where another value is about to replace it."""
CORRECT: Hot = hot(
    update(label)
    .where(_named, _differs)
    .values(_set(_label.value, _label.text, _label.logged, _label.actor_id, _label.actor_name))
)
INSERT_LABEL: Hot = hot(upsert(label, ["deployment_id", "ref", "row", "at"]))

_row_of_label = and_(
    _in_deployment(_scored),
    _scored.prediction_id == _bound(_scored.prediction_id, "ref"),
    _scored.row == _bound(_scored.row),
)
_rows_of_key = and_(
    _in_deployment(_scored),
    _scored.join_key == _bound(_scored.join_key, "ref"),
    _scored.at >= _bound(_scored.at, "at") - _window,
    _scored.at <= _bound(_scored.at, "at"),
)
_changes = or_(_scored.label.is_(None), _scored.label != _bound(_scored.label, "new_label"))

LABEL_ROW: Hot = hot(update(scored_prediction).where(_row_of_label, _changes).values(_set(_scored.label, _scored.label_at)))
"""A label by prediction. Its `label_at` is 0: it wins over every label by key."""
LABEL_ROWS_OF_KEY: Hot = hot(
    update(scored_prediction)
    .where(_rows_of_key, or_(_scored.label_at.is_(None), _scored.label_at >= _bound(_scored.at, "at")), _changes)
    .values(_set(_scored.label, _scored.label_at))
)
"""A label by key: for each prediction in its window that no earlier label was for."""
MARK_KEY_MATCHED: Hot = hot(update(label).where(_named, ~_label.matched, exists().where(_rows_of_key)).values(matched=True))

INSERT_SCORED: Hot = hot(upsert(scored_prediction, ["deployment_id", "prediction_id", "row"]))

_this_row = and_(
    _in_deployment(_scored),
    _scored.prediction_id == _bound(_scored.prediction_id),
    _scored.row == _bound(_scored.row),
)
_its_label = and_(
    _label.deployment_id == _scored.deployment_id,
    _label.ref == _scored.prediction_id,
    _label.row == _scored.row,
    _label.at == 0,
)
_labels_of_its_key = and_(
    _label.deployment_id == _scored.deployment_id,
    _label.ref == _scored.join_key,
    _label.row == OF_A_KEY,
    _label.at >= _scored.at,
    _label.at <= _scored.at + _window,
)


def _first_of_key(column: Any) -> Any:
    return select(column).where(_labels_of_its_key).order_by(_label.at).limit(1).correlate(scored_prediction).scalar_subquery()


TAKE_LABEL: Hot = hot(
    update(scored_prediction)
    .where(_this_row, exists().where(_its_label).correlate(scored_prediction))
    .values(
        label=select(_label.value).where(_its_label).correlate(scored_prediction).scalar_subquery(), label_at=literal_column("0")
    )
)
"""A prediction that arrives after its label."""
TAKE_LABEL_OF_KEY: Hot = hot(
    update(scored_prediction)
    .where(_this_row, _scored.label.is_(None), exists().where(_labels_of_its_key).correlate(scored_prediction))
    .values(label=_first_of_key(_label.value), label_at=_first_of_key(_label.at))
)
TAKEN: Hot = hot(
    update(label)
    .where(
        _in_deployment(_label),
        _label.ref == _bound(_label.ref, "prediction_id"),
        _label.row == _bound(_label.row),
        _label.at == 0,
        ~_label.matched,
    )
    .values(matched=True)
)
TAKEN_OF_KEY: Hot = hot(
    update(label)
    .where(
        _in_deployment(_label),
        _label.ref == _bound(_label.ref, "join_key"),
        _label.row == OF_A_KEY,
        _label.at >= _bound(_label.at, "at"),
        _label.at <= _bound(_label.at, "at") + _window,
        ~_label.matched,
    )
    .values(matched=True)
)
