"""What the reference pages list is what the code has: settings, commands, errors, permissions, routes, events, audit actions."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import tilth.domains
from tilth.app.http import STATUS
from tilth.app.settings import SERVER_KEYS, Settings
from tilth.cli.main import cli
from tilth.core.errors import KINDS
from tilth.core.events import Event
from tilth.guard import NEEDS, Permission

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CELL = re.compile(r"(?<!\\)\|")


def rows(page: str, heading: str = "") -> list[list[str]]:
    """Cells of the first table of the page, or of the first below the heading; without its head."""
    text = (DOCS / page).read_text()
    text = text[text.index(f"\n{heading}\n") :] if heading else text
    lines = text[text.index("\n|") + 1 :].splitlines()
    table = lines[: next((number for number, line in enumerate(lines) if not line.startswith("|")), len(lines))]
    return [[cell.strip() for cell in CELL.split(line)[1:-1]] for line in table[2:]]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_configuration_page_lists_every_server_setting_with_its_default():
    listed = {code(key)[0]: json.loads(code(default)[0]) for key, default, _ in rows("configuration.md", "## [server]")}
    defaults = {f.name: f.default for f in dataclasses.fields(Settings) if f.name in SERVER_KEYS}
    assert listed == {key: list(value) if isinstance(value, tuple) else value for key, value in defaults.items()}


def test_the_configuration_page_lists_the_settings_that_travel_in_git():
    assert [(key, default) for key, default, _ in rows("configuration.md", "## [project]")] == [
        ("`name`", f'`"{Settings(home=Path()).project_name}"`')
    ]


def test_the_configuration_page_lists_every_variable_that_is_no_setting():
    listed = {code(row[0])[0] for row in rows("configuration.md", "## Other environment variables")}
    settings = {f"TILTH_{key.upper()}" for key in SERVER_KEYS}
    read = {name for path in (ROOT / "src").rglob("*.py") for name in re.findall(r'"(TILTH_[A-Z_]+[A-Z])"', path.read_text())}
    assert listed == read - settings


def leaves(command: click.Command, context: click.Context, path: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from leaves(found, context, (*path, name))
    else:
        yield " ".join(path), command


COMMANDS = dict(leaves(cli, click.Context(cli), ("tilth",)))


def test_the_command_page_lists_every_command():
    assert sorted(code(row[0])[0] for row in rows("cli.md")) == sorted(COMMANDS)


@pytest.mark.parametrize("row", rows("cli.md"), ids=lambda row: row[0].strip("`"))
def test_the_example_of_the_command_is_understood_by_it(row):
    name, example = code(row[0])[0], shlex.split(code(row[2])[0])
    words = name.split()
    assert example[: len(words)] == words
    COMMANDS[name].make_context(name, example[len(words) :])


def test_the_error_page_lists_every_kind_with_status_and_class():
    listed = {code(kind)[0]: (int(status), code(name)[0]) for kind, status, name, _ in rows("errors.md")}
    assert listed == {kind: (STATUS[kind], error.__name__) for kind, error in KINDS.items()}


def test_the_permission_table_is_the_one_in_the_code():
    def least(permission: Permission) -> str:
        needs = NEEDS[permission]
        if needs.role is not None:
            return needs.role.word
        return f"organisation: {needs.org_role.word}" if needs.org_role is not None else "anybody signed in"

    listed = {code(name)[0]: (role, scope) for name, role, scope in rows("projects-and-tokens.md")}
    # Public routes need nothing, and the model servers' own scope is given to nobody.
    for_people = {one for one in Permission if one is not Permission.PUBLIC and NEEDS[one].scope != "plane"}
    assert listed == {str(permission): (least(permission), NEEDS[permission].scope) for permission in for_people}


def test_the_api_page_lists_every_route_with_who_may_use_it():
    line = re.compile(r"^(GET|POST|PUT|PATCH|DELETE) +([AP]/\S+) +(\S+) +(\S+)$", re.MULTILINE)
    bases = {"A": "/api/v1", "P": "/api/v1/p/{project}"}
    listed = {(m, bases[path[0]] + path[1:], who, scope) for m, path, who, scope in line.findall((DOCS / "api.md").read_text())}
    table = [row.split() for row in runpy.run_path(str(ROOT / "tests/attack/access_table.py"))["TABLE"].strip().splitlines()]
    plain = {(m, re.sub(r":\w+}", "}", path), who, scope) for m, path, who, scope in table}
    assert listed == {row for row in plain if row[1].startswith("/api/")}


def test_the_page_of_mlflows_calls_lists_every_one_with_who_may_use_it():
    line = re.compile(r"^(GET|POST|PUT|PATCH|DELETE) +([23]\.0/\S+) +(\S+) +(\S+)$", re.MULTILINE)
    table = [
        row.split() for row in runpy.run_path(str(ROOT / "tests/attack/access_table.py"))["MLFLOW_TABLE"].strip().splitlines()
    ]
    plain = {(m, re.sub(r":\w+}", "}", path), who, scope) for m, path, who, scope in table}
    assert set(line.findall((DOCS / "mlflow-calls.md").read_text())) == plain


def test_the_event_page_lists_every_event_with_its_fields():
    domains = Path(tilth.domains.__path__[0])
    for path in (*domains.glob("*/types.py"), *domains.glob("*/types")):
        importlib.import_module(f"tilth.domains.{path.parent.name}.types")
    listed = {code(name)[0]: code(fields) for name, _, fields, _ in rows("events.md")}
    found = [event for event in Event.__subclasses__() if event.__module__.startswith("tilth.domains.")]
    assert listed == {event.name: [field.name for field in dataclasses.fields(event)] for event in found}


def test_the_audit_page_lists_every_action():
    listed = {action for row in rows("audit.md") for action in code(row[1])}
    places = [*(ROOT / "src/tilth/domains").glob("*/actions/*.py"), *(ROOT / "src/tilth/domains").glob("*/actions.py")]
    written = set()
    for path in [*places, ROOT / "src/tilth/app/operations.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[a-z_]+\.[a-z_]+", node.value):
                written.add(node.value)
    by_kind = {f"{kind}.{done}" for kind in ("user", "service") for done in ("created", "updated")}
    assert listed == written | by_kind
