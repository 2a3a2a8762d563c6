"""The model server inside Ray Serve, and batch scoring by Ray's actors, on a Ray of this machine."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import polars as pl
import pytest

from tilth.plane import on_ray
from tilth.plane.standalone import Standing
from tilth.sdk.batch.errors import BadRows
from tilth.sdk.batch.places import LocalPlace
from tilth.sdk.batch.planning import chunks, source_of
from tilth.sdk.batch.ray_crew import RayCrew
from tilth.sdk.batch.work import ScoringWork

pytestmark = [
    pytest.mark.slow,
    # Ray and its web server warn about their own insides.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def local_ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray", reason="Ray is in the slow matrix only")
    with pytest.MonkeyPatch.context() as environment:
        # Serve gives up on a proxy that is not up within 5 s; a busy machine takes longer.
        environment.setenv("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "50")
        ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="error")
        yield ray
        ray.shutdown()


@pytest.fixture(scope="module")
def proxy(local_ray: Any) -> Iterator[int]:
    """The port that Ray Serve shall listen on."""
    serve = pytest.importorskip("ray.serve")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    yield port
    serve.shutdown()


def test_replicas_serve_a_model_folder_by_every_protocol(proxy: int, models: Any) -> None:
    scale = on_ray.Scale(replicas=2, cpus=0.5, route="/sums", port=proxy)
    on_ray.serve_folder(Standing(models[1].folder, "sums", 7), models[1].manifest.digest, scale)
    with httpx.Client(base_url=f"http://127.0.0.1:{proxy}/sums", timeout=30) as client:
        answer = client.post("/invocations", json={"dataframe_records": [{"a": 1.0, "b": 2.0}]})
        assert answer.status_code == 200, answer.text
        assert answer.json()["predictions"] == [pytest.approx(103.0)]
        assert (answer.json()["model"], answer.json()["version"]) == ("sums", "7")
        tensors = [{"name": name, "shape": [1, 1], "datatype": "FP64", "data": [2.0]} for name in ("a", "b")]
        infer = client.post("/v2/models/sums/infer", json={"inputs": tensors})
        assert infer.json()["outputs"][0]["data"] == [pytest.approx(104.0)]
        assert client.get("/v2/health/ready").status_code == 200
        refused = client.post("/invocations", json={"dataframe_records": [{"a": "x", "b": 2.0}]})
        assert refused.status_code == 400
        assert "column 'a'" in refused.text


def test_replicas_of_damaged_files_do_not_come_up(proxy: int, models: Any) -> None:
    with pytest.raises(on_ray.RayRefused):
        on_ray.serve_folder(Standing(models[0].folder, "damaged"), "0" * 64, on_ray.Scale(cpus=0.1, route="/damaged", port=proxy))


def test_replicas_follow_what_is_published(proxy: int, models: Any, home: Any) -> None:
    home.cache(models[0])
    home.publish(home.deployment(1, models[0].version(1)))
    on_ray.serve_home(home.path, on_ray.Scale(cpus=0.5, route="/", port=proxy))
    headers = {"authorization": "Bearer tilth_test_token"}
    with httpx.Client(base_url=f"http://127.0.0.1:{proxy}", timeout=30) as client:
        path = "/p/demo/deployments/sums/invocations"
        assert client.post(path, json={"instances": [[1, 2]]}).status_code == 401
        answer = client.post(path, json={"instances": [[1, 2]]}, headers=headers)
        assert answer.json()["predictions"] == [pytest.approx(3.0)]
    assert [frame.prediction_id for frame in home.logged()] == [answer.json()["prediction_id"]]


@pytest.fixture
def scoring_work(models: Any, tmp_path: Path) -> ScoringWork:
    return ScoringWork(
        folder=str(models[0].folder),
        seal=models[0].manifest.digest,
        version="sums/1",
        source=str(tmp_path / "in"),
        source_format="parquet",
        target=str(tmp_path / "out"),
        target_format="parquet",
        keep=("a",),
        on_bad_row="fail",
        batch_rows=30,
    )


def test_actors_score_files(local_ray: Any, scoring_work: ScoringWork, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    pl.DataFrame({"a": [float(n) for n in range(100)], "b": [1.0] * 100}).write_parquet(tmp_path / "in" / "rows.parquet")
    source = source_of(scoring_work.source, LocalPlace(tmp_path / "in"), "", None)
    # More than there are cores for: who gets none must not hold up the others.
    with RayCrew(scoring_work, 4) as crew:
        parts = [part for _, part in crew.scored(chunks(source, 30, "parquet"))]
    assert sum(part.rows for part in parts) == 100
    out = pl.concat([pl.read_parquet(tmp_path / "out" / part.name) for part in parts]).sort("a")
    assert out["prediction"].to_list() == [pytest.approx(n + 1.0) for n in range(100)]
    pl.DataFrame({"a": [1.0, None], "b": [1.0, 2.0]}).write_parquet(tmp_path / "in" / "rows.parquet")
    with RayCrew(scoring_work, 1) as crew, pytest.raises(BadRows, match="row 2: column 'a'"):
        list(crew.scored(chunks(source, 30, "parquet")))


BEGINS_IN_VAIN = """
import sys, msgspec, ray
from tilth.core.errors import Damaged
from tilth.sdk.batch.ray_crew import RayCrew
from tilth.sdk.batch.work import ScoringWork
try:
    RayCrew(msgspec.json.decode(sys.argv[1], type=ScoringWork), 1)
except Damaged:
    print(ray.is_initialized())
"""


def test_a_ray_that_was_begun_for_a_scoring_ends_when_it_cannot_begin(scoring_work: ScoringWork) -> None:
    pytest.importorskip("ray")
    work = msgspec.structs.replace(scoring_work, folder="/nowhere")
    arguments = [sys.executable, "-c", BEGINS_IN_VAIN, msgspec.json.encode(work).decode()]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"


def test_a_cluster_without_a_free_core_is_waited_for_and_told_of(
    local_ray: Any, scoring_work: ScoringWork, capsys: pytest.CaptureFixture[str]
) -> None:
    with RayCrew(scoring_work, 1, say_after_s=0.01) as crew:
        assert crew.engine
    assert "of 3 cores of the Ray cluster are free, and each actor takes one; waiting goes on" in capsys.readouterr().err
