"""A server that speaks TLS with a certificate of its own: command line, SDK, browser cookie and model servers get through."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PROGRAM = """
import tilth
with tilth.run("over tls") as run:
    run.log(loss=0.5)
print(run.url)
"""


def certificate(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate that speaks for 127.0.0.1, good for an hour."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tilth test")])
    moment = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - datetime.timedelta(minutes=5))
        .not_valid_after(moment + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory, new_server):
    folder = tmp_path_factory.mktemp("tls")
    cert_file, key_file = certificate(folder)
    environment = {"TILTH_TLS_CERT": str(cert_file), "TILTH_TLS_KEY": str(key_file), "SSL_CERT_FILE": str(cert_file)}
    return new_server(folder / "home", environment=environment), cert_file


def test_the_command_line_and_the_sdk_believe_the_certificate_they_are_given(tls_server, tmp_path):
    server, cert_file = tls_server
    assert server.url.startswith("https://")
    environment = {**server.environment, "SSL_CERT_FILE": str(cert_file)}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    listed = subprocess.run(
        [sys.executable, "-m", "tilth.cli", "run", "list"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert listed.returncode == 0, listed.stderr
    assert "over tls" in listed.stdout


def test_an_unknown_certificate_is_refused_in_words(tls_server):
    server, _ = tls_server
    refused = subprocess.run(
        [sys.executable, "-m", "tilth.cli", "run", "list"], env=server.environment, capture_output=True, text=True, timeout=60
    )
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert "SSL_CERT_FILE" in refused.stderr


def test_the_session_cookie_is_one_that_no_other_host_can_set(tls_server):
    server, cert_file = tls_server
    with httpx.Client(base_url=server.url, verify=ssl.create_default_context(cafile=cert_file), trust_env=False) as client:
        made = client.post("/api/v1/login-links", headers={"authorization": f"Bearer {server.token}"}).json()["url"]
        assert made.startswith("https://")
        cookie = client.get(made).headers["set-cookie"]
    assert cookie.startswith("__Host-")
    assert "secure" in cookie.lower()
