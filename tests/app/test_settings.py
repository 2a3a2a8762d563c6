"""Settings from files, environment and flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from tilth.app.settings import InvalidSettings, Settings, load_settings


def load(home: Path, toml: str = "", environ: dict[str, str] | None = None, **flags: object) -> Settings:
    if toml:
        (home / "tilth.toml").write_text(toml)
    return load_settings(home, environ or {}, flags)


def test_the_defaults_suit_a_laptop(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert (settings.host, settings.port, settings.serve_port, settings.control_processes) == ("127.0.0.1", 8700, 8701, 1)
    assert settings.on_sqlite
    assert settings.database == f"sqlite:///{tmp_path}/tilth.db"


def test_a_flag_beats_the_environment_and_the_environment_beats_the_file(tmp_path: Path) -> None:
    toml = "[server]\nport = 1001\nserve_port = 1002\nlog_level = 'debug'\n"
    settings = load(tmp_path, toml, {"TILTH_PORT": "2001", "TILTH_SERVE_PORT": "2002"}, port=3001, host=None)
    assert (settings.port, settings.serve_port, settings.log_level, settings.host) == (3001, 2002, "debug", "127.0.0.1")


def test_a_projects_own_file_beside_its_home_counts_and_the_homes_file_counts_more(tmp_path: Path) -> None:
    home = tmp_path / ".tilth"
    home.mkdir()
    (tmp_path / "tilth.toml").write_text("[project]\nname = 'pricing'\n[server]\nport = 1001\nserve_port = 1003\n")
    settings = load(home, "[server]\nport = 1002\n")
    assert (settings.project_name, settings.port, settings.serve_port) == ("pricing", 1002, 1003)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[server]\nprot = 1\n", "key in .server. 'prot' is not known; did you mean 'port'"),
        ("[sever]\nport = 1\n", "table 'sever' is not known; did you mean 'server'"),
        ("[project]\nnme = 'x'\n", "did you mean 'name'"),
        ("[server]\nxyzzy = 1\n", "known are: host, port"),
        ("[server]\nport = '1'\n", "port is '1'; it must be a whole number"),
        ("[server]\nport = true\n", "must be a whole number"),
        ("[server]\nhost = 1\n", "must be a text in quotes"),
        ("[server]\ngrace_period_h = 'long'\n", "must be a number"),
        ("[server]\ntrusted_proxies = '10.0.0.1'\n", "must be a list of texts"),
        ("[server]\ngrace_period_h = 0.99\n", "at least 1: uploads that are not in the database yet"),
        ("[server]\ngrace_period_h = nan\n", "between 1 and 8760"),
        ("[server]\nsigned_download_s = 60\n", "a folder, which signs no addresses; set blobs_location"),
        ("[server]\nsigned_download_s = 60\nblobs_location = 'file:///b'\n", "a folder, which signs no addresses"),
        (
            "[server]\nsigned_download_s = 60\nblobs_location = 's3://b?endpoint=http://minio:9000'\n",
            "in the clear. Give it https",
        ),
        (
            "[server]\nhost = '10.0.0.5'\ntrusted_proxies = ['10.0.0.1']\nsigned_download_s = 60\n"
            "blobs_location = 's3://b?endpoint=http://127.0.0.1:9000'\n",
            "would not reach it",
        ),
        ("[server]\nsigned_download_s = 901\nblobs_location = 's3://b'\n", "between 0 and 900"),
        ("[server]\nport = 70000\n", "port is 70000; it must lie between 0 and 65535"),
        ("[server]\nport = 9000\nserve_port = 9000\n", "need one each"),
        ("[server]\nlog_level = 'loud'\n", "one of debug, info, warning, error"),
        ("[server]\ncontrol_processes = 2\n", "only one process may write to SQLite; set database_url"),
        ("[server]\ndatabase_url = 'mysql://x'\n", "postgresql://"),
        ("[server]\ndatabase_url = 'postgresql://u:secret@h/d'\n", "holds a password; set TILTH_DATABASE_URL"),
        ("[server]\nhost = '0.0.0.0'\n", "reachable by other machines"),
        ("[server]\ntls_cert = '/nowhere/c.pem'\n", "set both, or neither"),
        ("[server]\ntrusted_proxies = ['proxy']\n", "give addresses such as"),
        ("[project]\nname = 'No Slug'\n", "project name 'No Slug' is not allowed"),
        ("server = 1\n", "must be a table"),
        ("[server\n", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_what_to_do(tmp_path: Path, toml: str, message: str) -> None:
    with pytest.raises(Exception, match=message) as caught:
        load(tmp_path, toml)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "location", ["s3://b", "gs://b/p", "s3://b?endpoint=https://minio:9000", "s3://b?endpoint=http://127.0.0.1:9"]
)
def test_a_store_that_its_readers_can_reach_may_sign_addresses(tmp_path: Path, location: str) -> None:
    assert load(tmp_path, f"[server]\nsigned_download_s = 60\nblobs_location = '{location}'\n").signed_download_s == 60


def test_a_slip_in_a_variables_name_is_told_and_foreign_variables_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="did you mean TILTH_SERVE_PORT"):
        load(tmp_path, environ={"TILTH_SERVE_PROT": "1"})
    load(
        tmp_path,
        environ={"TILTH_HOME": "/x", "TILTH_URL": "u", "TILTH_TOKEN": "t", "TILTH_RUN_ID": "r", "TILTH_KILL_AT": "after_fsync"},
    )


def test_a_number_in_the_environment_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="TILTH_PORT is 'abc'; it must be a whole number"):
        load(tmp_path, environ={"TILTH_PORT": "abc"})


def test_beyond_loopback_a_proxy_or_tls_is_needed(tmp_path: Path) -> None:
    behind = load(tmp_path, environ={"TILTH_HOST": "0.0.0.0", "TILTH_TRUSTED_PROXIES": "10.0.0.1, 10.1.0.0/16"})
    assert behind.trusted_proxies == ("10.0.0.1", "10.1.0.0/16")
    assert behind.serve_host == "0.0.0.0"
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("pem")
    with_tls = load(tmp_path, host="0.0.0.0", tls_cert=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "key.pem"))
    assert (with_tls.scheme, with_tls.serve_host) == ("https", "127.0.0.1")


def test_a_database_address_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "address").write_text("postgresql://u:secret@h/d\n")
    settings = load(tmp_path, database_url_file=str(tmp_path / "address"), control_processes=4)
    assert settings.database == "postgresql://u:secret@h/d"
    assert "secret" not in repr(settings)
    with pytest.raises(InvalidSettings, match="cannot be read"):
        load(tmp_path, database_url_file="/nowhere/address")
