"""What stands inside scikit-learn's wrappers. Reads attributes only: scikit-learn itself is not imported."""

from __future__ import annotations

from typing import Any

_SEARCHES = frozenset({"GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"})


def innermost(model: Any) -> Any:
    """The estimator that answers: the best one of a search, the only step of a pipeline."""
    kind = type(model).__name__
    if kind in _SEARCHES and hasattr(model, "best_estimator_"):
        return innermost(model.best_estimator_)
    if kind == "Pipeline" and len(steps := steps_of(model)) == 1:
        return innermost(steps[0])
    return model


def steps_of(pipeline: Any) -> list[Any]:
    """Steps that do something, in order."""
    return [step for _, step in pipeline.steps if step is not None and step != "passthrough"]
