"""What a run writes about itself through MLflow's protocol. The hot path: one decoding, one write job, compiled statements."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request
from msgspec import UNSET

from tilth.backends.sql import Tx
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.ids import ProjectId
from tilth.domains.tracking import actions
from tilth.domains.tracking.api.mlflow.words import batch_words, mlflow_words
from tilth.domains.tracking.queries import hot
from tilth.domains.tracking.queries.whole import run_with_experiment
from tilth.domains.tracking.rules import mlflow_values as values
from tilth.domains.tracking.rules.batches import check_batch, check_tags
from tilth.domains.tracking.rules.mlflow_tags import CONTEXT, HISTORY, NAME, NOTES, PARENT, facts_of
from tilth.guard import Access, Permission, mlflow_route
from tilth.wire import mlflow_tracking as asked
from tilth.wire.mlflow import MlflowError, Nothing, from_body, invalid
from tilth.wire.tracking import DatasetInput, LogBatch, RunUpdate

MAX_HISTORY_CHARS = 1_000_000
_DONE = Nothing()


@mlflow_route("POST", "/runs/log-metric", permission=Permission.RUN_WRITE)
async def log_metric(access: Access[None], wanted: asked.LogMetric) -> Nothing:
    values.check_metric(wanted.key, wanted.timestamp, wanted.value)
    point = asked.LoggedPoint(
        key=wanted.key or "",
        value=wanted.value if wanted.value is not None else "NaN",
        step=wanted.step or 0,
        ts=wanted.timestamp,
        model_id=wanted.model_id or None,
        dataset_name=wanted.dataset_name or None,
        dataset_digest=wanted.dataset_digest or None,
    )
    return await _log(access, wanted.run, LogBatch(metrics=[point]))


@mlflow_route("POST", "/runs/log-batch", permission=Permission.RUN_WRITE)
async def log_batch(access: Access[None], request: Request[Any, Any, Any]) -> Nothing:
    """All of it is kept, or nothing."""
    body = await request.body()
    values.check_batch_bytes(len(body))
    wanted = from_body(body, asked.LogBatch)
    metrics, params, tags = wanted.metrics or [], wanted.params or [], wanted.tags or []
    values.check_run_id(wanted.run)
    values.check_points(metrics)
    kept = [values.param(param.key, param.value, f"params[{index}]") for index, param in enumerate(params)]
    tagged = [values.tag(tag.key, tag.value, f"tags[{index}]") for index, tag in enumerate(tags)]
    values.check_batch_counts(len(metrics), len(params), len(tags))
    values.check_unique_params(key for key, _ in kept)
    # Our own points under other names: a copy of a thousand of them would cost more than reading them did.
    batch = LogBatch(metrics=metrics, params=dict(kept))  # type: ignore[arg-type]
    with batch_words():
        return await _log(access, wanted.run, batch, dict(tagged))


@mlflow_route("POST", "/runs/log-parameter", permission=Permission.RUN_WRITE)
async def log_param(access: Access[None], wanted: asked.LogParam) -> Nothing:
    return await _log(access, wanted.run, LogBatch(params=dict([values.param(wanted.key, wanted.value)])))


@mlflow_route("POST", "/runs/set-tag", permission=Permission.RUN_WRITE)
async def set_tag(access: Access[None], wanted: asked.SetTag) -> Nothing:
    return await _log(access, wanted.run, LogBatch(), dict([values.tag(wanted.key, wanted.value)]))


@mlflow_route("POST", "/runs/delete-tag", permission=Permission.RUN_WRITE)
async def delete_tag(access: Access[None], wanted: asked.DeleteTag) -> Nothing:
    key, run_id, project = wanted.key or "", wanted.run, access.project.id

    def remove(tx: Tx) -> None:
        run = run_with_experiment(tx, project, run_id) if key == NOTES else None
        if run is not None and run.notes:
            actions.update_run(tx, access.actor, project, run_id, RunUpdate(notes=""))
        elif not actions.remove_tag(tx, project, run_id, key) and key != NAME:
            raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"No tag with name: {key[:300]} in run with id {run_id}")

    with mlflow_words(run_id=run_id):
        await access.write(remove)
    return _DONE


@mlflow_route("POST", "/runs/log-model", permission=Permission.RUN_WRITE)
async def log_model(access: Access[None], wanted: asked.LogModel) -> Nothing:
    """Clients before 3.0 tell here which models a run saved; the run keeps the list as a tag."""
    document = _model_document(wanted.model_json or "")
    run_id, project = wanted.run, access.project.id

    def add(tx: Tx) -> None:
        known = hot.tag_value(tx, run_id, HISTORY)
        history = json.dumps([*(json.loads(known) if known else []), document])
        values.check_length(HISTORY, history, MAX_HISTORY_CHARS)
        actions.log(tx, project, run_id, LogBatch(tags={HISTORY: history}), now())

    with mlflow_words(run_id=run_id):
        await access.write(add)
    return _DONE


@mlflow_route("POST", "/runs/log-inputs", permission=Permission.RUN_WRITE)
async def log_inputs(access: Access[None], wanted: asked.LogInputs) -> Nothing:
    values.check_run_id(wanted.run)
    values.check_datasets(wanted.datasets or [])
    inputs = list({(entry.name, entry.digest): entry for entry in map(_input, reversed(wanted.datasets or []))}.values())
    models = [(_model_id(model.model_id), 0) for model in wanted.models or ()]
    run_id, project, at = wanted.run, access.project.id, now()

    def write(tx: Tx) -> None:
        actions.log(tx, project, run_id, LogBatch(inputs=inputs[::-1]), at)
        actions.link_models(tx, project, run_id, "input", models, at)

    with mlflow_words(run_id=run_id):
        await access.write(write)
    return _DONE


@mlflow_route("POST", "/runs/outputs", permission=Permission.RUN_WRITE)
async def log_outputs(access: Access[None], wanted: asked.LogOutputs) -> Nothing:
    models = [(_model_id(model.model_id), model.step or 0) for model in wanted.models or ()]
    run_id, project, at = wanted.run, access.project.id, now()
    with mlflow_words(run_id=run_id):
        await access.write(lambda tx: actions.link_models(tx, project, run_id, "output", models, at))
    return _DONE


async def _log(access: Access[None], run_id: str, batch: LogBatch, tags: Mapping[str, str] | None = None) -> Nothing:
    facts = facts_of(tags or {})
    batch.tags = dict(facts.tags)
    project, at, actor = access.project.id, now(), access.actor
    with mlflow_words(run_id=run_id):
        check_batch(batch)
        if facts.any:
            update = RunUpdate(name=facts.name or UNSET, notes=UNSET if facts.notes is None else facts.notes)
            await access.write(lambda tx: _log_facts(tx, actor, project, run_id, batch, update, facts.parent_run_id, at))
        else:
            await access.write(lambda tx: actions.log(tx, project, run_id, batch, at, once=True))
    return _DONE


def _log_facts(
    tx: Tx, actor: Actor, project: ProjectId, run_id: str, batch: LogBatch, update: RunUpdate, parent: str | None, at: int
) -> None:
    """A parent that is not in this project remains a tag like any other."""
    if parent is not None:
        if hot.run_head(tx, project, parent) is None:
            batch.tags[PARENT] = parent
        else:
            update.parent_run_id = parent
    actions.log(tx, project, run_id, batch, at, once=True)  # type: ignore[arg-type]
    actions.update_run(tx, actor, project, run_id, update)


def _model_document(text: str) -> dict[str, object]:
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise invalid(f"Malformed model info. \n {text[:1000]} \n is not a valid JSON.")
    lacking = {"artifact_path", "flavors", "utc_time_created", "run_id"} - set(document)
    if lacking:
        raise invalid(f"Model json is missing mandatory fields: {lacking}")
    return document


def _model_id(given: str | None) -> str:
    values.check_length("model_id", given or "", 250)
    if not given:
        raise invalid("Missing value for required parameter 'model_id'.")
    return given


def _input(entry: asked.DatasetInput) -> DatasetInput:
    tags = {tag.key or "": tag.value or "" for tag in entry.tags}
    data = entry.dataset or asked.Dataset()
    context = tags.pop(CONTEXT, "")
    check_tags(tags)
    return DatasetInput(
        name=data.name or "",
        digest=data.digest or "",
        context=context,
        source_type=data.source_type or "",
        source=data.source or "",
        schema=data.schema or "",
        profile=data.profile or "",
        tags=tags or None,
    )


routes = [log_metric, log_batch, log_param, set_tag, delete_tag, log_model, log_inputs, log_outputs]
