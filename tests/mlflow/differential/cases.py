"""All cases, and how they are run at a server."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
from tests.mlflow.differential import artifacts, experiments, fluent, lives, logged, registry, runs, search, whole, wire
from tests.mlflow.differential.place import Case, Place

import mlflow

PARTS: tuple[ModuleType, ...] = (experiments, runs, lives, search, logged, registry, artifacts, fluent, whole, wire)


def all_cases() -> dict[str, Case]:
    """By the name of the part and of the function."""
    return {
        f"{part.__name__.rpartition('.')[2]}.{name}": case
        for part in PARTS
        for name, case in vars(part).items()
        if inspect.isfunction(case) and case.__module__ == part.__name__ and not name.startswith("_")
    }


def outcomes(names: Iterable[str], url: str, token: str, folder: Path) -> dict[str, dict[str, Any]]:
    """What each case meets at the server, one after another. token: one that may do everything; MLflow's own server looks at none."""
    found: dict[str, dict[str, Any]] = {}
    cases = all_cases()
    with _pointed_at(url, token), httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=60) as http:
        client = mlflow.MlflowClient(url)
        for name in names:
            place = Place(client, http, name.partition(".")[2], folder / name)
            cases[name](client, place)
            found[name] = place.outcomes
    return found


@contextlib.contextmanager
def _pointed_at(url: str, token: str) -> Iterator[None]:
    """A refusal is met once, not after minutes of patience; the client's chatter stays out."""
    wanted = {
        "MLFLOW_TRACKING_TOKEN": token,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "1",
        # Which packages a model needs is found out by loading it in another process: seconds for nothing that a case looks at.
        "MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT": "1",
    }
    before = {name: os.environ.get(name) for name in (*wanted, "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID")}
    os.environ.update(wanted)
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
    os.environ.pop("MLFLOW_RUN_ID", None)
    logging.disable(logging.WARNING)
    mlflow.set_tracking_uri(url)
    try:
        yield
    finally:
        while mlflow.active_run() is not None:
            mlflow.end_run()
        mlflow.set_tracking_uri(None)
        mlflow.tracking.fluent._active_experiment_id = None
        logging.disable(logging.NOTSET)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
