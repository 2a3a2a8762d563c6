"""Which servers other machines may reach at all: never one in the clear, never one without an owner."""

from __future__ import annotations

import itertools

import pytest
from tests.conftest import start_server

from tilth.app.settings import InvalidSettings, load_settings

LOOPBACK = ("127.0.0.1", "localhost", "::1", "127.8.8.8")
REACHABLE = ("0.0.0.0", "::", "10.0.0.7", "tilth.example.org")


@pytest.fixture
def certificate(tmp_path) -> dict[str, str]:
    """Two files that can be read; what is in them counts only when the server answers."""
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("pem")
    return {"tls_cert": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")}


@pytest.mark.parametrize(("tls", "proxied"), list(itertools.product((False, True), repeat=2)))
def test_beyond_loopback_a_certificate_or_a_trusted_proxy_is_needed(tmp_path, certificate, tls, proxied):
    flags = {**(certificate if tls else {}), **({"trusted_proxies": ("10.0.0.7",)} if proxied else {})}
    for host in LOOPBACK:
        assert load_settings(tmp_path, environ={}, flags={"host": host, **flags}).host == host
    for host in REACHABLE:
        if tls or proxied:
            assert load_settings(tmp_path, environ={}, flags={"host": host, **flags}).host == host
            continue
        with pytest.raises(InvalidSettings, match=r"in the clear; set tls_cert and tls_key, or trusted_proxies"):
            load_settings(tmp_path, environ={}, flags={"host": host, **flags})


@pytest.mark.parametrize("one", ["tls_cert", "tls_key"])
def test_half_a_certificate_does_not_open_the_door(tmp_path, certificate, one):
    for host in (*LOOPBACK, *REACHABLE):
        with pytest.raises(InvalidSettings, match="belong together"):
            load_settings(tmp_path, environ={}, flags={"host": host, one: certificate[one]})


def test_no_proxy_that_is_no_address_opens_the_door(tmp_path):
    for proxy in ("everybody", "", "*"):
        with pytest.raises(InvalidSettings):
            load_settings(tmp_path, environ={}, flags={"host": "0.0.0.0", "trusted_proxies": (proxy,)})


@pytest.mark.parametrize("rate", [-1.0, 2_000_000.0])
def test_a_rate_of_requests_out_of_bounds_is_refused(tmp_path, rate):
    with pytest.raises(InvalidSettings, match="between 0 and"):
        load_settings(tmp_path, environ={}, flags={"requests_per_second": rate})


def test_a_reachable_server_has_an_owner_with_a_secret_before_it_answers_and_no_default_password(tmp_path):
    server = start_server(tmp_path / "home", "--host", "0.0.0.0", environment={"TILTH_TRUSTED_PROXIES": "10.0.0.7"})
    try:
        with server.client() as client:
            (owner,) = [user for user in client.get("/api/v1/users").json() if user["kind"] == "user"]
            assert (owner["org_role"], owner["has_password"]) == ("admin", False)
            for password in ("", "admin", "password", owner["name"], "tilth"):
                assert client.post("/api/v1/sessions", json={"name": owner["name"], "password": password}).status_code == 401
        assert (server.home / "token").stat().st_mode & 0o777 == 0o600
    finally:
        server.stop()
