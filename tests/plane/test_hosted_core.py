"""The core in somebody else's process: it starts and ends with the lifespan of an ASGI application."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tilth.plane.asgi import Application
from tilth.plane.hosted import folder_application, home_application
from tilth.plane.standalone import Standing
from tilth.wire.plane import PREDICTIONS_FOLDER
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
