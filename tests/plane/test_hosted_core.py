"""The core in somebody else's process: it starts and ends with the lifespan of an ASGI application."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.plane.unruly_models import HANG, Named, Unruly

from tilth.plane.asgi import Application
from tilth.plane.hosted import folder_application, home_application
from tilth.plane.hung import HungMarks
from tilth.plane.standalone import Standing
from tilth.plane.watchdog import EXIT_CODE
from tilth.wire.plane import PREDICTIONS_FOLDER, STATUS_FOLDER, PlaneRuntime, WorkerStatus
from tilth.wire.shipping import FLUSH_PATH

ROWS = {"instances": [[1, 2]]}


async def during(application: Application, ask: Any) -> tuple[list[str], Any]:
    """Starts the application, asks it, ends it. Returns what it said of its start and end, and the answer."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    said: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        said.append(message)

    await told.put({"type": "lifespan.startup"})
    life = asyncio.create_task(application({"type": "lifespan"}, told.get, send))
    while not said and not life.done():
        await asyncio.sleep(0.01)
    answer = await ask() if said and said[0]["type"] == "lifespan.startup.complete" else said[0].get("message")
    await told.put({"type": "lifespan.shutdown"})
    await life
    return [message["type"].removeprefix("lifespan.") for message in said], answer


def asked(application: Application, path: str, *, root: str = "", token: str = "") -> Any:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(application, root_path=root)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(transport=transport, base_url="http://host", headers=headers) as client:
            return await client.post(path, json=ROWS)

    return asyncio.run(during(application, ask))


def test_a_model_folder_answers_below_the_prefix_of_its_host(models: Any) -> None:
    application = folder_application(Standing(models[1].folder, "sums", 4), models[1].manifest.digest)
    said, answer = asked(application, "/prefix/invocations", root="/prefix")
    assert said == ["startup.complete", "shutdown.complete"]
    assert answer.status_code == 200
    assert answer.json()["predictions"] == [pytest.approx(103.0)]
    assert answer.json()["version"] == "4"


def test_files_that_are_not_those_that_were_sealed_do_not_start(models: Any) -> None:
    said, why = asked(folder_application(Standing(models[0].folder, "sums"), "0" * 64), "/invocations")
    assert said == ["startup.failed"]
    assert "does not hold the files that were sealed" in why


def test_what_a_home_publishes_is_served_with_its_tokens_and_log(models: Any, home: Any) -> None:
    home.cache(models[0])
    home.publish(home.deployment(1, models[0].version(1)))
    path = "/p/demo/deployments/sums/invocations"
    _, refused = asked(home_application(home.path, "hosted"), path)
    said, answer = asked(home_application(home.path, "hosted"), path, token="tilth_test_token")
    assert said == ["startup.complete", "shutdown.complete"]
    assert refused.status_code == 401
    assert answer.json()["predictions"] == [pytest.approx(3.0)]
    assert [frame.prediction_id for frame in home.logged()] == [answer.json()["prediction_id"]]


def test_what_somebody_waits_for_is_handed_on_at_once(models: Any, home: Any) -> None:
    home.cache(models[0])
    home.publish(home.deployment(1, models[0].version(1)))
    application = home_application(home.path, "handing")
    headers = {"authorization": "Bearer tilth_test_token"}

    async def ask() -> list[Path]:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://host", headers=headers) as client:
            assert (await client.post("/p/demo/deployments/sums/invocations", json=ROWS)).status_code == 200
        (home.path / FLUSH_PATH).parent.mkdir(parents=True, exist_ok=True)
        (home.path / FLUSH_PATH).write_text("now")
        async with asyncio.timeout(20):
            while not (closed := list((home.path / PREDICTIONS_FOLDER).glob("handing-*.closed"))):
                await asyncio.sleep(0.05)
        return closed

    _, closed = asyncio.run(during(application, ask))
    assert len(closed) == 1


HOST = """
import asyncio, sys
from pathlib import Path
import httpx
from tilth.plane.hosted import home_application

async def main(home, trouble):
    application = home_application(Path(home), "hosted")
    told, ready = asyncio.Queue(), asyncio.Event()
    async def send(message):
        ready.set()
    await told.put({"type": "lifespan.startup"})
    life = asyncio.create_task(application({"type": "lifespan"}, told.get, send))
    await ready.wait()
    if trouble == "deaf":
        next(task for task in asyncio.all_tasks() if task.get_name() == "following").cancel()
        await asyncio.sleep(60)
    headers = {"authorization": "Bearer tilth_test_token"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://host", headers=headers) as client:
        await client.post("/p/demo/deployments/sums/invocations", json={"instances": [[float(trouble), 0]]})

asyncio.run(main(*sys.argv[1:]))
"""


def how_it_ends(home: Any, trouble: str) -> int:
    return subprocess.run([sys.executable, "-c", HOST, str(home.path), trouble], timeout=60, stderr=subprocess.DEVNULL).returncode


def test_a_process_whose_replica_no_longer_follows_ends(models: Any, home: Any) -> None:
    home.cache(models[0])
    home.publish(home.deployment(1, models[0].version(1)))
    assert how_it_ends(home, "deaf") == -signal.SIGTERM


def test_a_process_whose_event_loop_hangs_ends_and_leaves_a_mark(home: Any, tmp_path: Path) -> None:
    model = Named(tmp_path / "folder", "unruly", Unruly())
    home.cache(model)
    home.publish(model.deployed("sums", predict_timeout_s=0.5))
    assert how_it_ends(home, str(HANG)) == EXIT_CODE
    assert model.manifest.digest in HungMarks(home.path)


def test_lazy_versions_of_a_hosted_replica_go_when_idle(models: Any, home: Any) -> None:
    home.cache(models[0])
    home.publish(home.deployment(1, models[0].version(1), runtime=PlaneRuntime(load="lazy", idle_unload_s=0.1)))

    async def ask() -> str:
        async with asyncio.timeout(20):
            while (condition := conditions(home)) != ["unloaded"]:
                await asyncio.sleep(0.05)
        return condition[0]

    assert asyncio.run(during(home_application(home.path, "lazy"), ask))[1] == "unloaded"


def conditions(home: Any) -> list[str]:
    """Of the versions of the replica called lazy."""
    try:
        status = msgspec.json.decode((home.path / STATUS_FOLDER / "lazy.json").read_bytes(), type=WorkerStatus)
    except FileNotFoundError:
        return []
    return [version.condition for deployment in status.deployments for version in deployment.versions]
