"""Files that an S3 store hands out by itself, to the unmodified client and to calls as they travel."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conformance.conftest import S3_KEYS, s3_endpoint

__all__ = ["s3_endpoint"]

PROXY = "/api/2.0/mlflow-artifacts"


@pytest.fixture(scope="module")
def shared_installation(install_in: Any, s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Bytes in S3, whose addresses it hands out for a minute."""
    location = f"s3://tilth-blobs/{uuid.uuid4().hex}?endpoint={s3_endpoint}&region=us-east-1"
    with pytest.MonkeyPatch.context() as environment:
        for name, value in S3_KEYS.items():
            environment.setenv(name, value)
        home = tmp_path_factory.mktemp("signed") / "home"
        installation = install_in(home, blobs_location=location, signed_download_s=60)
        yield installation
        installation.stop()


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that MLflow's client reads through Tilth in this test."""
    from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

    seen: list[str] = []
    read = HttpArtifactRepository._download_file

    def noted(self: Any, remote: str, local: str) -> None:
        seen.append(remote)
        read(self, remote, local)

    monkeypatch.setattr(HttpArtifactRepository, "_download_file", noted)
    return seen


@pytest.mark.parametrize("content", [b"", b"small", bytes(range(256)) * 20_000])
def test_the_client_reads_from_the_store_in_chunks_without_being_told_to(
    mlflow: Any, ml: Any, wire: Any, tmp_path: Path, proxied: list[str], monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setenv("MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE", str(1 << 20))
    run_id, file = wire.run(), tmp_path / "ä file.bin"
    file.write_bytes(content)
    ml.log_artifact(run_id, str(file), "deep")
    back = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="deep/ä file.bin", dst_path=str(tmp_path / "back"))
    assert Path(back).read_bytes() == content
    assert proxied == []


def test_an_address_is_good_for_one_file_and_as_long_as_the_setting_says(shared_installation: Any, wire: Any) -> None:
    http: httpx.Client = shared_installation.client
    path = f"0/{wire.run()}/artifacts/a.txt"
    assert http.put(f"{PROXY}/artifacts/{path}", content=b"alpha").status_code == 200
    signed = http.get(f"{PROXY}/presigned/{path}").json()
    assert set(signed) == {"url", "file_size"}
    assert signed["file_size"] == 5
    assert "X-Amz-Expires=60&" in signed["url"]
    assert S3_KEYS["AWS_SECRET_ACCESS_KEY"] not in signed["url"]
    assert httpx.get(signed["url"]).content == b"alpha"


def test_the_guard_says_who_gets_an_address(shared_installation: Any, wire: Any) -> None:
    http: httpx.Client = shared_installation.client
    path = f"0/{wire.run()}/artifacts/a.txt"
    http.put(f"{PROXY}/artifacts/{path}", content=b"alpha")
    viewer = shared_installation.as_(shared_installation.member("vera-signed", "viewer"))
    outsider = shared_installation.as_(shared_installation.member("otto-signed", ""))
    assert viewer.get(f"{PROXY}/presigned/{path}").status_code == 200
    assert outsider.get(f"/p/default{PROXY}/presigned/{path}").status_code == 404
    assert shared_installation.as_(None).get(f"{PROXY}/presigned/{path}").status_code == 401
    http.post("/api/v1/projects", json={"name": "signed-apart"})
    assert http.get(f"/p/signed-apart{PROXY}/presigned/{path}").status_code == 404


@pytest.mark.parametrize(("path", "status"), [("artifacts/none", 404), ("artifacts", 400), ("artifacts/%2e%2e/x", 400)])
def test_no_address_is_made_for_what_is_no_file(shared_installation: Any, wire: Any, path: str, status: int) -> None:
    answer = shared_installation.client.get(f"{PROXY}/presigned/0/{wire.run()}/{path}")
    assert answer.status_code == status


def test_the_server_says_that_its_store_signs(shared_installation: Any, installation: Any) -> None:
    told = [each.client.get("/api/3.0/mlflow/server-info").json() for each in (shared_installation, installation)]
    assert [each["multipart_downloads_enabled"] for each in told] == [True, False]
