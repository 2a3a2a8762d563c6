"""Files of runs and logged models through MLflow's artifact proxy: the unmodified client, and calls as they travel."""

from __future__ import annotations

import json
import os
import resource
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture
def run_id(wire: Any) -> str:
    return str(wire.run())


@pytest.fixture
def http(shared_installation: Any) -> httpx.Client:
    client: httpx.Client = shared_installation.client
    return client


def put(http: httpx.Client, path: str, content: bytes = b"x", **options: Any) -> httpx.Response:
    return http.put(f"{ROOT}/{path}", content=content, **options)


class Raw:
    """An answer to a path that was sent exactly as it is written; httpx would tidy up its dots."""

    def __init__(self, http: httpx.Client, method: str, path: str) -> None:
        connection = HTTPConnection(http.base_url.host, http.base_url.port or 80, timeout=20)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", http.base_url.netloc.decode())
        connection.putheader("Authorization", http.headers["authorization"])
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        answer = connection.getresponse()
        self.status_code, self._body = answer.status, answer.read()
        connection.close()

    def json(self) -> Any:
        return json.loads(self._body)


def test_artifacts_go_up_are_listed_and_come_back(mlflow: Any, ml: Any, run_id: str, tmp_path: Path) -> None:
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "one.txt").write_text("one")
    (tmp_path / "a" / "deep" / "ä #%.txt").write_text("two")
    ml.log_artifacts(run_id, str(tmp_path / "a"), "folder")
    ml.log_text(run_id, "top", "top.txt")
    listed = [(each.path, each.is_dir, each.file_size) for each in ml.list_artifacts(run_id)]
    assert listed == [("folder", True, None), ("top.txt", False, 3)]
    assert [each.path for each in ml.list_artifacts(run_id, "folder")] == ["folder/deep", "folder/one.txt"]
    back = Path(mlflow.artifacts.download_artifacts(run_id=run_id, dst_path=str(tmp_path / "back")))
    assert (back / "folder" / "one.txt").read_text() == "one"
    assert (back / "top.txt").read_text() == "top"


def test_the_clients_own_delete_takes_one_file_a_folder_or_a_whole_run(mlflow: Any, ml: Any, run_id: str) -> None:
    for path in ("a.txt", "d/b.txt", "d/c.txt", "keep.txt"):
        ml.log_text(run_id, "x", path)
    repository = mlflow.store.artifact.artifact_repository_registry.get_artifact_repository(ml.get_run(run_id).info.artifact_uri)
    repository.delete_artifacts("a.txt")
    repository.delete_artifacts("d")
    assert [each.path for each in ml.list_artifacts(run_id)] == ["keep.txt"]
    repository.delete_artifacts()
    assert ml.list_artifacts(run_id) == []


def test_a_large_file_is_sent_in_parts_and_whole_with_flat_memory(
    mlflow: Any, ml: Any, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = tmp_path / "big.bin"
    piece = os.urandom(1 << 20)
    big.write_bytes(piece * 60)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ml.log_artifact(run_id, str(big), "whole")
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "true")
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(20 << 20))
    ml.log_artifact(run_id, str(big), "parts")
    for folder in ("whole", "parts"):
        back = mlflow.artifacts.download_artifacts(
            run_id=run_id, artifact_path=f"{folder}/big.bin", dst_path=str(tmp_path / folder)
        )
        assert Path(back).stat().st_size == 60 << 20
        assert Path(back).read_bytes()[-(1 << 20) :] == piece
    # Client and server are one process here: neither ever held the file, which went over four times.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_a_download_streams_as_an_attachment_and_knows_ranges(http: httpx.Client, run_id: str) -> None:
    path = f"0/{run_id}/artifacts/page.html"
    assert put(http, path, b"<b>0123456789</b>", headers={"content-type": "text/html"}).json() == {}
    whole = http.get(f"{ROOT}/{path}")
    assert whole.content == b"<b>0123456789</b>"
    assert whole.headers["content-disposition"].startswith("attachment")
    assert whole.headers["x-content-type-options"] == "nosniff"
    part = http.get(f"{ROOT}/{path}", headers={"range": "bytes=3-5"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"012", "bytes 3-5/17")


@pytest.mark.parametrize("prefix", ["/api", "/ajax-api", "/p/default/api", "/p/default/ajax-api"])
def test_every_address_of_the_proxy_answers(http: httpx.Client, run_id: str, prefix: str) -> None:
    base = f"{prefix}/2.0/mlflow-artifacts/artifacts"
    assert http.put(f"{base}/0/{run_id}/artifacts/d/f", content=b"1").status_code == 200
    assert http.get(base, params={"path": f"0/{run_id}/artifacts/d"}).json() == {
        "files": [{"path": "f", "is_dir": False, "file_size": 1}]
    }
    assert http.get(f"{base}/0/{run_id}/artifacts/d/f").content == b"1"
    assert http.delete(f"{base}/0/{run_id}/artifacts/d").json() == {}


@pytest.mark.parametrize(
    "path", ["", "/", "/.", "/%2e", "/a/..", "/a/%2e%2e", "/%2e%2e", "/0", "/0/", "/0/x", "/..%2f", "//", "/0//artifacts"]
)
def test_a_delete_never_reaches_beyond_one_run(http: httpx.Client, run_id: str, path: str) -> None:
    put(http, f"0/{run_id}/artifacts/keep.txt")
    answer = Raw(http, "DELETE", ROOT + path)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert http.get(f"{ROOT}/0/{run_id}/artifacts/keep.txt").status_code == 200


@pytest.mark.parametrize("name", ["../x", "a/../../x", "a//b", "%2e%2e/x", "a%2f..%2fx", "a%5c..%5cx", "a%00b", ".", "%ff"])
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_a_path_that_climbs_is_refused(http: httpx.Client, run_id: str, method: str, name: str) -> None:
    answer = Raw(http, method, f"{ROOT}/0/{run_id}/artifacts/{name}")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_a_path_is_decoded_once(http: httpx.Client, run_id: str) -> None:
    assert Raw(http, "PUT", f"{ROOT}/0/{run_id}/artifacts/a%252e%20b.txt").status_code == 200
    assert http.get(ROOT, params={"path": f"0/{run_id}/artifacts"}).json()["files"][0]["path"] == "a%2e b.txt"


def test_what_is_not_there_is_not_found(http: httpx.Client, run_id: str) -> None:
    for path in (f"0/{run_id}/artifacts/none", "0/nobody/artifacts/a", "0/models/m-1/artifacts/a"):
        for method in ("GET", "DELETE"):
            answer = Raw(http, method, f"{ROOT}/{path}")
            assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert put(http, "0/nobody/artifacts/a").status_code == 404
    assert put(http, "0/models/m-1/artifacts/a").json()["message"] == "Logged model with ID 'm-1' not found."
    assert http.get(ROOT, params={"path": "0/nobody/artifacts"}).json() == {}
    assert http.get(ROOT).json() == {}
    assert http.get(ROOT, params={"path": "../x"}).status_code == 400


def test_files_of_a_registered_model_never_change_again(ml: Any, http: httpx.Client) -> None:
    model = ml.create_logged_model(experiment_id="0", name="sealed")
    path = f"0/models/{model.model_id}/artifacts/MLmodel"
    assert put(http, path, b"flavors: {}").status_code == 200
    assert put(http, path, b"flavors: {}\n").status_code == 200
    ml.finalize_logged_model(model.model_id, "READY")
    assert put(http, path, b"flavors: {} ").status_code == 200
    ml.create_registered_model("sealing")
    ml.create_model_version("sealing", f"models:/{model.model_id}", model_id=model.model_id)
    for answer in (put(http, path, b"changed"), Raw(http, "DELETE", f"{ROOT}/{path}")):
        assert (answer.status_code, answer.json()["error_code"]) == (409, "RESOURCE_CONFLICT")
    assert http.get(f"{ROOT}/{path}").content == b"flavors: {} "
    listed = http.get(f"/api/2.0/mlflow/logged-models/{model.model_id}/artifacts/directories").json()
    assert listed["root_uri"] == model.artifact_location
    assert listed["files"] == [{"path": "MLmodel", "is_dir": False, "file_size": 12}]


def test_what_the_store_does_not_sign_is_said_in_the_words_the_client_waits_for(http: httpx.Client, run_id: str) -> None:
    signed = http.get(f"/api/2.0/mlflow-artifacts/presigned/0/{run_id}/artifacts/a")
    assert signed.status_code == 501
    assert signed.json()["message"].startswith("Multipart download is not supported for the current artifact repository")
    asked = {"run_id": run_id, "path": "a"}
    up = http.post("/api/2.0/mlflow/artifacts/presigned-upload-url", json=asked)
    down = http.post("/api/2.0/mlflow/artifacts/presigned-download-url", json=asked)
    assert (up.status_code, down.status_code) == (400, 400)
    assert "is not supported for runs with proxied artifact storage" in down.json()["message"]


def test_a_part_belongs_to_who_opened_the_upload(shared_installation: Any, http: httpx.Client, run_id: str) -> None:
    asked = {"path": "elsewhere/f.bin", "num_parts": 2}
    opened = http.post(f"/api/2.0/mlflow-artifacts/mpu/create/0/{run_id}/artifacts/d", json=asked).json()
    assert [part["part_number"] for part in opened["credentials"]] == [1, 2]
    first, second = opened["credentials"]
    other = shared_installation.as_(shared_installation.member("mallory-parts", "developer"))
    assert other.put(first["url"], content=b"evil").status_code == 404
    etags = [
        httpx.put(part["url"], content=content, headers=part["headers"]) for part, content in ((first, b"ab"), (second, b"c"))
    ]
    parts = [{"part_number": n, "etag": answer.headers["etag"], "url": "x"} for n, answer in enumerate(etags, 1)]
    body = {"path": "elsewhere/f.bin", "upload_id": opened["upload_id"], "parts": parts}
    wrong = {**body, "parts": [{**parts[0], "etag": '"0"'}, parts[1]]}
    complete = f"/api/2.0/mlflow-artifacts/mpu/complete/0/{run_id}/artifacts/d"
    assert http.post(complete, json=wrong).status_code == 400
    assert http.post(complete, json=body).json() == {}
    assert http.get(f"{ROOT}/0/{run_id}/artifacts/d/f.bin").content == b"abc"
    gone = {"path": "f.bin", "upload_id": opened["upload_id"]}
    assert http.post(f"/api/2.0/mlflow-artifacts/mpu/abort/0/{run_id}/artifacts/d", json=gone).json() == {}


def test_a_viewer_reads_and_does_not_write(shared_installation: Any, http: httpx.Client, run_id: str) -> None:
    put(http, f"0/{run_id}/artifacts/a.txt")
    viewer = shared_installation.as_(shared_installation.member("vera-artifacts", "viewer"))
    assert viewer.get(f"{ROOT}/0/{run_id}/artifacts/a.txt").status_code == 200
    for answer in (
        viewer.put(f"{ROOT}/0/{run_id}/artifacts/a.txt", content=b"1"),
        viewer.delete(f"{ROOT}/0/{run_id}/artifacts/a.txt"),
    ):
        assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")


def test_another_project_has_none_of_it(shared_installation: Any, http: httpx.Client, run_id: str) -> None:
    put(http, f"0/{run_id}/artifacts/a.txt")
    http.post("/api/v1/projects", json={"name": "artifacts-apart"})
    there = f"/p/artifacts-apart{ROOT}/0/{run_id}/artifacts/a.txt"
    assert http.get(there).status_code == 404
    assert http.put(there, content=b"x").status_code == 404
    assert http.delete(there).status_code == 404
