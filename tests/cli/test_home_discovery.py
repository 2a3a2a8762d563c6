"""Where a client finds its home and its server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tilth.core.clock import Millis
from tilth.core.home import DamagedServerFile, NoServer, ServerFile, find_home, find_target, read_server_file

SERVER = ServerFile("http://127.0.0.1:8700", "http://127.0.0.1:8701", "tilth_own", "flights", 42, Millis(1_700_000_000_000))


def home_with_server(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "server.json").write_text(SERVER.to_json())
    return folder


def test_a_named_home_goes_before_all_others(tmp_path: Path) -> None:
    (tmp_path / ".tilth").mkdir()
    environ = {"TILTH_HOME": str(tmp_path / "by-environment"), "HOME": str(tmp_path)}
    assert find_home("named", environ, tmp_path) == tmp_path / "named"
    assert find_home(None, environ, tmp_path) == tmp_path / "by-environment"


def test_the_nearest_home_upwards_is_found_and_the_users_own_is_last(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "src" / "deep"
    inner.mkdir(parents=True)
    environ = {"HOME": str(tmp_path / "me")}
    assert find_home(None, environ, inner) == tmp_path / "me" / ".tilth"
    (tmp_path / "project" / ".tilth").mkdir()
    assert find_home(None, environ, inner) == tmp_path / "project" / ".tilth"


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    assert read_server_file(home_with_server(tmp_path)) == SERVER


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"url": 1', '{"url": "http://x", "token": "t", "pid": "no"}', '"text"'])
def test_a_damaged_server_file_is_told_and_not_half_believed(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_text(text)
    with pytest.raises(DamagedServerFile, match="delete it"):
        read_server_file(tmp_path)


def test_without_variables_the_homes_server_is_the_target(tmp_path: Path) -> None:
    target = find_target({}, tmp_path, home=home_with_server(tmp_path / "h"))
    assert (target.url, target.token, target.project, target.serve_url) == (SERVER.url, SERVER.token, "flights", SERVER.serve_url)


def test_a_named_home_beats_the_address_of_the_environment(tmp_path: Path) -> None:
    environ = {"TILTH_URL": "https://far.example", "TILTH_TOKEN": "far"}
    target = find_target(environ, tmp_path, home=home_with_server(tmp_path / "h"))
    assert (target.url, target.token) == (SERVER.url, SERVER.token)


def test_the_owners_token_is_never_sent_to_another_address(tmp_path: Path) -> None:
    environ = {"TILTH_HOME": str(home_with_server(tmp_path / "h")), "TILTH_URL": "https://far.example"}
    assert find_target(environ, tmp_path).token == ""
    assert find_target(environ, tmp_path, url="http://127.0.0.1:9999").token == ""
    assert find_target({**environ, "TILTH_URL": SERVER.url + "/"}, tmp_path).token == SERVER.token


def test_a_token_of_the_environment_belongs_to_the_address_beside_it(tmp_path: Path) -> None:
    environ = {"TILTH_URL": "https://far.example", "TILTH_TOKEN": "far", "TILTH_PROJECT": "pricing"}
    target = find_target(environ, tmp_path)
    assert (target.url, target.token, target.project, target.home) == ("https://far.example", "far", "pricing", None)


def test_no_server_at_all_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(NoServer, match="tilth up"):
        find_target({}, tmp_path, home=tmp_path)
