"""Try it: a form made of the model's signature, the answer of the deployment, and the same request as curl and Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Response
from litestar.params import FromPath

from tilth.backends.sql import Tx
from tilth.core.ids import Digest
from tilth.core.ports import Blobs
from tilth.domains.models import queries as models
from tilth.domains.models.types import UnknownModel, UnknownVersion
from tilth.domains.serving import queries
from tilth.domains.serving.api.deployments import surroundings
from tilth.domains.serving.jobs.trial import Trial, TrialDesk, message_of
from tilth.domains.serving.rules import trial as rules
from tilth.domains.serving.rules.trial import UnreadableField
from tilth.guard import Access, AccessTo, Permission, get, post
from tilth.web.commands import shown_command
from tilth.web.pages.deployment_tabs import deployment_tabs
from tilth.web.pages.frame import Asked, Form, may, project_url, read_form, shell
from tilth.web.render import page
from tilth.wire.serving import DeploymentView
from tilth.wire.signature import Column, Signature

TRIALS = "tilth_trials"
EXAMPLE_NAME = "serving_input_example.json"
MAX_EXAMPLE_BYTES = 1_000_000
NO_ROWS = '{"instances": []}'
MOST_CHOICES = 300
"""Values of a vocabulary that a field lists; one with more is typed."""


@dataclass(frozen=True, slots=True)
class Field:
    """One input of the form. kind: select, number, whole or text; hint: what the model takes there."""

    id: str
    column: Column
    kind: str
    value: str
    hint: str
    choices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What the page needs to know of the deployment, before anybody asked."""

    deployment: DeploymentView
    signature: Signature | None
    example: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of asking. lines: (output, value) of the first row; error: why there is none; body: the answer as it came."""

    trial: Trial | None
    lines: Sequence[tuple[str, str]] = ()
    error: str = ""
    body: str = ""


@get("/p/{project:str}/deployments/{name:str}/try", permission=Permission.DEPLOYMENT_READ)
async def try_page(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Response[str]:
    question = await _question(request, access, name)
    return await _shown(request, access, question, Form({}), None)


@post("/p/{project:str}/deployments/{name:str}/try", permission=Permission.PREDICT, status_code=200)
async def ask(request: Asked, access: AccessTo[None], name: FromPath[str]) -> Response[str]:
    """Answers with the page itself, the form as it was filled in."""
    form = await read_form(request)
    question = await _question(request, access, name)
    try:
        body = _body(question, form)
    except UnreadableField as error:
        return await _shown(request, access, question, form, Reply(None, error=str(error)))
    desk: TrialDesk = request.app.state[TRIALS]
    trial = await desk.ask(access.project.name, name, body, f"page:{access.principal.actor.name}")
    return await _shown(request, access, question, form, _reply(trial, question.signature))


async def _question(request: Asked, access: Access[Any], name: str) -> Question:
    around = await surroundings(request, access)

    def look(tx: Tx) -> tuple[DeploymentView, Signature | None, Digest | None]:
        found = queries.deployment_one(tx, around, name)
        try:
            logged = models.version_detail(tx, access.project.id, found.model, found.version).logged_model
        except (UnknownModel, UnknownVersion):
            return found, None, None
        if logged is None or logged.document is None:
            return found, None, None
        kept = next((file for file in logged.files if file.path == EXAMPLE_NAME and file.size <= MAX_EXAMPLE_BYTES), None)
        return found, logged.document.signature, Digest(kept.digest) if kept is not None else None

    deployment, signature, digest = await access.read(look)
    blobs: Blobs = request.app.state["tilth_blobs"]
    example = b"".join([piece async for piece in blobs.open(digest)]) if digest is not None else b""
    return Question(deployment, signature, example)


def _body(question: Question, form: Form) -> bytes:
    if form.has("json") or question.signature is None:
        return form.exact("json").encode()
    typed = {column.name: form.exact(f"c{at}") for at, column in enumerate(question.signature.inputs)}
    return rules.request_of(question.signature.inputs, typed)


def _fields(question: Question, form: Form) -> list[Field]:
    if question.signature is None or not rules.fits_a_form(question.signature):
        return []
    known = rules.first_row(question.example, question.signature.inputs)
    return [
        _field(column, f"c{at}", form.exact(f"c{at}") if form.has(f"c{at}") else rules.shown(known.get(column.name)))
        for at, column in enumerate(question.signature.inputs)
    ]


def _field(column: Column, id_: str, value: str) -> Field:
    hint = {"double": "number", "long": "whole number", "boolean": "true or false", "string": "text"}[column.type]
    if column.categories:
        hint = f"one of {len(column.categories)}"
    if column.nullable:
        hint += ", may be empty"
    choices: Sequence[str] = ("true", "false") if column.type == "boolean" else column.categories or ()
    if 0 < len(choices) <= MOST_CHOICES:
        return Field(id_, column, "select", value, hint, choices)
    kind = {"double": "number", "long": "whole"}.get(column.type, "text")
    return Field(id_, column, kind, value, hint)


def _reply(trial: Trial, signature: Signature | None) -> Reply:
    if not trial.ok:
        return Reply(trial, error=message_of(trial.body))
    document = msgspec.json.decode(trial.body)
    found = document.get("predictions")
    first = found[0] if isinstance(found, list) and found else found
    names: list[str] = []
    if signature is not None:
        names = [column.name for column in signature.outputs] + [tensor.name for tensor in signature.output_tensors]
    values = first if isinstance(first, list) and len(first) == len(names) else [first]
    if isinstance(first, dict):
        names, values = list(first), list(first.values())
    lines = [(name, _listed(value)) for name, value in zip(names or ["prediction"], values, strict=False)]
    return Reply(trial, lines, body=msgspec.json.format(trial.body).decode()[:20_000])


def _listed(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()[:2000]


async def _shown(request: Asked, access: Access[Any], question: Question, form: Form, reply: Reply | None) -> Response[str]:
    found, project = question.deployment, access.project
    base = project_url(project.name, "deployments", found.name)
    text = form.exact("json") if form.has("json") else _text(question, form)
    return page(
        "try_it.html",
        await shell(
            request,
            access,
            "deployments",
            [("Deployments", project_url(project.name, "deployments")), (found.name, base), ("Try it", "")],
        ),
        base=base,
        tabs=deployment_tabs(access, found.name, "try"),
        d=found,
        model_url=project_url(project.name, "models", found.model),
        fields=_fields(question, form),
        by_json=form.has("json"),
        text=text,
        reply=reply,
        may_ask=may(access, Permission.PREDICT),
        may_read_predictions=may(access, Permission.PREDICTION_READ),
        snippets=_snippets(found, project.name, text),
    )


def _text(question: Question, form: Form) -> str:
    """The request as JSON: of the form where it was sent and can be read, else the model's own example."""
    if form.has("c0"):
        try:
            return msgspec.json.format(_body(question, form)).decode()
        except UnreadableField:
            return ""
    if not question.example:
        return NO_ROWS
    if question.signature is not None and (row := rules.first_row(question.example, question.signature.inputs)):
        return msgspec.json.format(msgspec.json.encode({"dataframe_records": [row]})).decode()
    try:
        return msgspec.json.format(question.example).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # It came with the model, and is whatever somebody put there.
        return NO_ROWS


def _snippets(found: DeploymentView, project: str, text: str) -> list[tuple[str, str]]:
    try:
        rows = msgspec.json.decode(text)
        body = msgspec.json.encode(rows).decode()
    except msgspec.DecodeError:
        rows, body = {}, text
    quoted = body.replace("'", "'\\''")
    curl = (
        f'curl -X POST "{found.url}" \\\n'
        f'  -H "Authorization: Bearer $TILTH_TOKEN" -H "Content-Type: application/json" \\\n  -d \'{quoted}\''
    )
    records = rows.get("dataframe_records") if isinstance(rows, dict) else None
    snippets = [("curl", curl)]
    if records:
        python = f"import tilth\n\ntilth.init(project={project!r})\nprint(tilth.predict({found.name!r}, {records!r}))"
        command = shown_command(
            "tilth", "predict", found.name, "--project", project, "--json-rows", msgspec.json.encode(records).decode()
        )
        snippets = [("curl", curl), ("Python", python), ("CLI", command)]
    return snippets


routes: list[Any] = [try_page, ask]
