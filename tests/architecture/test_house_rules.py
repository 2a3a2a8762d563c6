"""Rules of the house that import-linter and ruff cannot hold."""

from __future__ import annotations

import ast
import fnmatch
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tilth"
FILES = sorted(SOURCE.rglob("*.py"))
UNDECIDED = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "handler", "handlers", "misc"}
CLOCK_CALLS = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns",
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now", "datetime.date.today",
}  # fmt: skip


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def calls(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield node.lineno, dotted(node.func)


def test_no_file_is_longer_than_400_lines():
    long = {module_name(path): lines for path in FILES if (lines := len(path.read_text().splitlines())) > 400}
    assert long == {}


def test_every_module_is_named_after_its_job():
    assert [module_name(path) for path in FILES if path.stem in UNDECIDED or path.parent.name in UNDECIDED] == []


def test_only_the_sql_back_end_commits():
    found = [
        f"{module_name(path)}:{line}"
        for path in FILES
        if "backends/sql" not in path.as_posix()
        for line, name in calls(path)
        if name.endswith(".commit")
    ]
    assert found == []


def test_only_the_clock_and_the_ids_read_time():
    found = [
        f"{module_name(path)}:{line} {name}"
        for path in FILES
        if path.name not in ("clock.py", "ids.py") or path.parent.name != "core"
        for line, name in calls(path)
        if name in CLOCK_CALLS
    ]
    assert found == []


def test_no_domain_reads_the_tables_of_another():
    found = []
    for path in FILES:
        parts = path.relative_to(SOURCE).parts
        if parts[0] != "domains" or len(parts) < 3:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tilth.domains."):
                foreign = node.module.split(".")[2] != parts[1]
                names = [*node.module.split(".")[3:], *(alias.name for alias in node.names)]
                if foreign and "tables" in names:
                    found.append(f"{module_name(path)}:{node.lineno}")
    assert found == []


def test_every_query_names_its_project_or_says_that_it_crosses_them():
    """A public query takes a project (or the id of a thing that a guarded route has loaded), or ends in `_across_projects`."""
    bounded_by = {"project_id", "project", "project_ids", "run_id", "run_ids", "experiment_id", "model_id", "logged_model_id",
                  "deployment_id", "version_id", "token_id", "principal_id", "principal", "sha256", "id_", "name", "once",
                  "fields", "row", "used", "session_id", "run", "scope", "digests", "experiment", "model", "version",
                  "deployment", "deployment_ids", "models", "versions", "rows", "values", "params", "tags", "inputs", "points"}  # fmt: skip
    found = []
    for path in FILES:
        if not fnmatch.fnmatch(path.relative_to(SOURCE).as_posix(), "domains/*/queries*"):
            continue
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith(("_", "add_")) or "across_projects" in node.name:
                continue
            arguments = {argument.arg for argument in [*node.args.args, *node.args.kwonlyargs]}
            if "tx" in arguments and not arguments & bounded_by:
                found.append(f"{module_name(path)}.{node.name}")
    assert [name for name in found if not name.endswith("audit.queries.chain_head")] == []


def test_each_wildcard_of_the_import_contracts_matches_something():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    modules = {module_name(path).removesuffix(".__init__") for path in FILES}
    patterns = {
        name
        for contract in contracts
        for key in ("containers", "source_modules")
        for name in contract.get(key, [])
        if "*" in name
    }
    assert patterns
    assert [pattern for pattern in patterns if not any(fnmatch.fnmatch(module, pattern) for module in modules)] == []


IMPORT_BUDGETS = {
    "tilth": ("pandas", "numpy", "sqlalchemy", "litestar", "sklearn", "httpx", "rich", "psutil"),
    "tilth.plane.__main__": ("pandas", "sqlalchemy", "litestar", "sklearn", "uvicorn", "jinja2", "treelite"),
    "tilth.flavours": ("pandas", "sklearn", "treelite"),
    "tilth.cli.main": ("numpy", "sqlalchemy", "httpx", "litestar", "pandas"),
    "tilth.cli.supervisor": ("numpy", "sqlalchemy", "httpx", "litestar", "click", "rich", "msgspec"),
}


@pytest.mark.parametrize("module", sorted(IMPORT_BUDGETS))
def test_importing_a_light_part_loads_nothing_heavy(module):
    code = f"import sys, importlib; importlib.import_module({module!r}); print(' '.join(sys.modules))"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert sorted(loaded & set(IMPORT_BUDGETS[module])) == []
