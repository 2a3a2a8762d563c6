"""Tilth: runs, models, serving and their audit in one product.

This module is what training code imports. Names are imported on first use, so that `import tilth` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tilth.core.version import VERSION

__version__ = VERSION

if TYPE_CHECKING:
    from tilth.sdk import labels
    from tilth.sdk.active import Run
    from tilth.sdk.batch.calling import Scoring, score
    from tilth.sdk.comparing import compare
    from tilth.sdk.connection import init
    from tilth.sdk.current import (
        current_run,
        finish,
        log,
        log_artifact,
        log_figure,
        log_json,
        log_text,
        note,
        params,
        run,
        tag,
        use_dataset,
    )
    from tilth.sdk.evaluating import Evaluation, evaluate
    from tilth.sdk.importance import importance
    from tilth.sdk.importing import ImportedModel, import_model
    from tilth.sdk.listing import history, runs
    from tilth.sdk.models import LoggedModel, load_model, log_model, set_alias
    from tilth.sdk.predictions import predictions
    from tilth.sdk.rollouts import Rollout, rollout
    from tilth.sdk.serving import deploy, explain, predict
    from tilth.sdk.sweeps import SweepResult, Trial, TrialStopped, sweep

_PLACES = {
    "tilth.sdk.active": ("Run",),
    "tilth.sdk.connection": ("init",),
    "tilth.sdk.current": (
        "current_run",
        "finish",
        "log",
        "log_artifact",
        "log_figure",
        "log_json",
        "log_text",
        "note",
        "params",
        "run",
        "tag",
        "use_dataset",
    ),
    "tilth.sdk.evaluating": ("Evaluation", "evaluate"),
    "tilth.sdk.batch.calling": ("Scoring", "score"),
    "tilth.sdk.comparing": ("compare",),
    "tilth.sdk.listing": ("history", "runs"),
    "tilth.sdk.importing": ("ImportedModel", "import_model"),
    "tilth.sdk.models": ("LoggedModel", "load_model", "log_model", "set_alias"),
    "tilth.sdk.predictions": ("predictions",),
    "tilth.sdk.rollouts": ("Rollout", "rollout"),
    "tilth.sdk.importance": ("importance",),
    "tilth.sdk.serving": ("deploy", "explain", "predict"),
    "tilth.sdk.sweeps": ("SweepResult", "Trial", "TrialStopped", "sweep"),
}
_MODULES = {"labels": "tilth.sdk.labels"}
_PLACE = {name: place for place, names in _PLACES.items() for name in names}

__all__ = [
    "Evaluation",
    "ImportedModel",
    "LoggedModel",
    "Rollout",
    "Run",
    "Scoring",
    "SweepResult",
    "Trial",
    "TrialStopped",
    "__version__",
    "compare",
    "current_run",
    "deploy",
    "evaluate",
    "explain",
    "finish",
    "history",
    "import_model",
    "importance",
    "init",
    "labels",
    "load_model",
    "log",
    "log_artifact",
    "log_figure",
    "log_json",
    "log_model",
    "log_text",
    "note",
    "params",
    "predict",
    "predictions",
    "rollout",
    "run",
    "runs",
    "score",
    "set_alias",
    "sweep",
    "tag",
    "use_dataset",
]


def __getattr__(name: str) -> Any:
    place = _PLACE.get(name)
    if name in _MODULES:
        value = import_module(_MODULES[name])
    elif place is not None:
        value = getattr(import_module(place), name)
    else:
        raise AttributeError(f"module 'tilth' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
