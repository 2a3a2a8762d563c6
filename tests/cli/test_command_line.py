"""The command `tilth` itself: help, wrong usage, errors in words, budgets."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tilth.app.schema import prepare_database
from tilth.app.settings import load_settings
from tilth.cli.caller import cell
from tilth.cli.main import cli, run
from tilth.cli.table import CommandTable


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    context = click.Context(group)
    found: list[tuple[str, ...]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
    return found


@pytest.mark.parametrize("path", commands(cli), ids=" ".join)
def test_every_command_has_help_with_an_example(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: tilth {' '.join(path)}" in shown
    examples = shown.partition("Example")[2]
    assert f"tilth {' '.join(path)}" in examples


def test_the_tables_name_commands_as_they_name_themselves() -> None:
    context = click.Context(cli)
    assert isinstance(cli, CommandTable)
    assert {name: cli.get_command(context, name).name for name in cli.table} == {name: name for name in cli.table}  # type: ignore[union-attr]


def test_help_needs_neither_http_nor_numbers_nor_sql() -> None:
    heavy = "{'httpx', 'numpy', 'sqlalchemy', 'litestar', 'rich', 'msgspec'}"
    program = f"import sys; from tilth.cli.main import run; assert run(['--help']) == 0; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


def test_the_supervisor_imports_core_and_the_standard_library_alone() -> None:
    program = "import sys, tilth.cli.supervisor; print(*(name for name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    ours = {name for name in found if name.startswith("tilth.")} - {"tilth.cli"}
    assert all(name.startswith(("tilth.core", "tilth.cli.")) for name in ours)
    assert not {"click", "httpx", "msgspec", "asyncio", "numpy"} & set(found)


def test_wrong_usage_ends_with_2_and_errors_with_1_and_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["no-such-command"]) == 2
    assert run(["run", "list", "--home", str(tmp_path), "--limit", "none"]) == 2
    capsys.readouterr()
    assert run(["run", "list", "--home", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("error: no Tilth server found")


@pytest.mark.parametrize(("typed", "meant"), [(["deplyo"], "deploy"), (["deployment", "rolback"], "rollback")])
def test_a_misspelt_command_is_told_what_it_may_mean(typed: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(typed) == 2
    assert f"Did you mean '{meant}'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["created", "logged", "live_since", "used_at"])
def test_moments_are_shown_as_people_read_them(name: str) -> None:
    assert cell(name, 1_795_264_342_492).startswith("2026-11-2")
    assert cell("rows", 1_795_264_342_492) == "1795264342492"


def test_a_server_that_does_not_answer_is_told_with_a_next_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "token": "t"}))
    assert run(["runs", "list", "--home", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "cannot reach a Tilth server at http://127.0.0.1:9" in error
    assert "tilth up" in error


def test_env_prints_what_a_shell_the_sdk_and_mlflow_need(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = {"url": "http://127.0.0.1:8700", "serve_url": "http://127.0.0.1:8701", "token": "tilth_'x", "project": "flights"}
    (tmp_path / "server.json").write_text(json.dumps(server))
    assert run(["env", "--home", str(tmp_path), "--shell", "bash"]) == 0
    script = (
        capsys.readouterr().out + 'printf "%s\\n" "$TILTH_URL" "$TILTH_TOKEN" "$MLFLOW_TRACKING_URI" "$MLFLOW_TRACKING_TOKEN"'
    )
    shell = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True)
    assert shell.stdout.splitlines() == ["http://127.0.0.1:8700", "tilth_'x", "http://127.0.0.1:8700/p/flights", "tilth_'x"]
    assert run(["env", "--home", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["TILTH_PROJECT"] == "flights"
    assert run(["env", "--home", str(tmp_path), "--shell", "fish"]) == 0
    assert capsys.readouterr().out.startswith("set -gx TILTH_URL http://127.0.0.1:8700\n")


def test_logs_shows_the_end_of_each_and_names_those_that_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("control", "serve-w0", "serve-w1"):
        (tmp_path / "logs" / f"{name}.log").write_text("".join(f"{name} {number}\x1b[2J\n" for number in range(9)))
    assert run(["logs", "control", "-n", "2", "--home", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "control 7 [2J\ncontrol 8 [2J\n"
    assert run(["logs", "serve", "-n", "1", "--home", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "serve-w0  serve-w0 8 [2J\nserve-w1  serve-w1 8 [2J\n"
    assert run(["logs", "serve-w1", "-n", "1", "--json", "--home", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == {"process": "serve-w1", "line": "serve-w1 8\x1b[2J"}
    assert run(["logs", "nobody", "--home", str(tmp_path)]) == 1
    assert "it has: control, serve-w0, serve-w1" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--json"], []])
def test_doctor_of_an_empty_place_finds_nothing_broken(
    tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tilth.toml").write_text("[server]\nport = 0\nserve_port = 0\n")
    assert run(["doctor", "--home", str(tmp_path), *options]) == 0
    assert "Python" in capsys.readouterr().out


def test_doctor_ends_with_1_where_settings_are_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tilth.toml").write_text("[server]\nprot = 0\n")
    assert run(["doctor", "--home", str(tmp_path), "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)
    assert [(found["what"], found["condition"]) for found in findings][-1] == ("settings", "broken")


def test_doctor_tries_pending_migrations_and_keeps_the_database_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def migrations() -> list[str]:
        run(["doctor", "--home", str(tmp_path), "--try-migrations", "--json"])
        return [found["found"] for found in json.loads(capsys.readouterr().out) if found["what"] == "migrations"]

    assert migrations() == ["there is no database to try them on yet"]
    sqlite3.connect(tmp_path / "tilth.db").execute("CREATE TABLE mine (text TEXT)").connection.close()
    before = (tmp_path / "tilth.db").read_bytes()
    (told,) = migrations()
    assert "0001" in told
    assert "can be applied" in told
    assert (tmp_path / "tilth.db").read_bytes() == before
    assert list((tmp_path / "backups").iterdir()) == []
    prepare_database(load_settings(tmp_path, {}))
    assert migrations() == ["none is pending"]
