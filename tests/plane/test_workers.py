"""Workers as processes: swaps under load, damaged models, restarts, kills, full disks and shared ports."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from tilth.plane.batching import Core
from tilth.plane.follower import Follower
from tilth.plane.last_good import LastGood
from tilth.plane.loading import Loader
from tilth.plane.prediction_log import PredictionLog
from tilth.plane.residence import Residence
from tilth.wire.plane import PREDICTIONS_FOLDER, SERVED_FOLDER, STATE_PATH, PlaneRoute

ONE = {"instances": [[1, 2]]}


class Traffic:
    """Clients that predict until told to stop, each on its own keep-alive connection."""

    def __init__(self) -> None:
        self.replies: list[Any] = []
        self.broken: list[Exception] = []
        self.stop = threading.Event()

    def versions(self) -> set[str]:
        return {reply.headers["x-model-version"] for reply in self.replies}

    def run(self, client: Any) -> None:
        while not self.stop.is_set():
            try:
                self.replies.append(client.predict(ONE))
            except OSError as error:
                self.broken.append(error)
                return


@contextmanager
def traffic(worker: Any, clients: int) -> Iterator[Traffic]:
    made = Traffic()
    connections = [worker.client() for _ in range(clients)]
    threads = [threading.Thread(target=made.run, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        made.stop.set()
        for thread in threads:
            thread.join()
        for connection in connections:
            connection.close()


def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("it did not come to pass within 20 s")


def result(reply: Any) -> float:
    assert reply.status == 200, reply
    return round(reply.json()["predictions"][0], 6)


def test_versions_change_under_load_without_a_failed_request(home: Any, models: Any) -> None:
    for model in models:
        home.cache(model)
    home.publish(home.deployment(1, models[0].version(1)))
    worker = home.start()
    worker.wait_for_generation(1)
    with traffic(worker, 4) as load:
        for generation in range(2, 22):
            number = generation % 2
            home.publish(home.deployment(generation, models[number].version(number + 1)))
            worker.wait_for_generation(generation)
    assert not load.broken
    assert {reply.status for reply in load.replies} == {200}
    assert load.versions() == {"1", "2"}
    for reply in load.replies:
        assert result(reply) == (3.0 if reply.headers["x-model-version"] == "1" else 103.0)
    status = worker.status()
    assert status is not None
    assert worker.stop() == 0
    assert len(home.logged()) == len(load.replies)


def test_a_killed_worker_has_logged_every_answer_it_gave(home: Any, models: Any) -> None:
    home.cache(models[0])
    home.publish(home.deployment(1, models[0].version(1)))
    for round_ in range(3):
        worker = home.start()
        worker.wait_for_generation(1)
        with traffic(worker, 4) as load:
            while len(load.replies) < 50 * (round_ + 1):
                time.sleep(0.001)
            worker.kill()
        logged = {frame.prediction_id: frame for frame in home.logged()}
        for reply in load.replies:
            assert logged[reply.headers["x-prediction-id"]].answer == reply.body


def test_a_fresh_worker_has_settled_once_what_it_should_serve_serves_or_is_refused(home: Any, models: Any) -> None:
    # Only then it takes requests, so that nobody is refused by a worker that was started again.
    home.cache(models[0])
    damaged = msgspec.structs.replace(models[1].version(2), manifest_digest="0" * 64)
    served = home.deployment(1, models[0].version(1))
    refused = msgspec.structs.replace(home.deployment(1, damaged), id="d2", name="refused")
    home.publish(served, refused)

    async def settle() -> Follower:
        log = PredictionLog(home.path / PREDICTIONS_FOLDER, "w0")
        follower = Follower(home.path, Core(log), Loader(home.path, Residence(0)), lambda: None)
        assert not follower.settled
        following = asyncio.create_task(follower.run())
        while not follower.settled:
            await asyncio.sleep(0.01)
        following.cancel()
        log.close()
        return follower

    follower = asyncio.run(settle())
    assert [follower.conditions(each)[0].condition for each in (served, refused)] == ["ready", "failed"]


@pytest.mark.parametrize("place", ["before_predictions_logged", "after_predictions_logged"])
def test_a_worker_killed_around_the_write_answers_only_what_is_logged(home: Any, models: Any, place: str) -> None:
    home.cache(models[0])
    home.publish(home.deployment(1, models[0].version(1)))
    worker = home.start(environment={"TILTH_KILL_AT": f"{place}:3"})
    worker.wait_for_generation(1)
    client = worker.client()
    answered = [client.predict(ONE).headers["x-prediction-id"] for _ in range(2)]
    with pytest.raises(OSError, match=r".*"):
        client.predict(ONE)
    client.close()
    worker.process.wait(20)
    logged = [frame.prediction_id for frame in home.logged()]
    assert logged[:2] == answered
    assert len(logged) == (2 if place.startswith("before") else 3)


def test_models_are_fetched_once_and_served_without_control_after_a_restart(home: Any, models: Any, file_server: Any) -> None:
    home.control_url = file_server.url
    home.publish(home.deployment(1, models[0].version(1)))
    workers = [home.start("w0"), home.start("w1")]
    for worker in workers:
        worker.wait_for_generation(1)
        assert worker.stop() == 0
        assert worker.status() is None
    assert file_server.requests == len(models[0].manifest.files)
    file_server.close()
    again = home.start("w0")
    again.wait_for_generation(1)
    client = again.client()
    assert result(client.predict(ONE)) == 3.0
    client.close()


def test_damaged_bytes_are_refused_and_the_old_version_serves_on_until_they_are_mended(
    home: Any, models: Any, file_server: Any
) -> None:
    home.cache(models[0])
    home.control_url = file_server.url
    home.publish(home.deployment(1, models[0].version(1)))
    worker = home.start()
    worker.wait_for_generation(1)
    file_server.broken = True
    home.publish(home.deployment(2, models[1].version(2)))
    assert "does not have the bytes it was sealed with" in worker.wait_for_refusal(2)
    status = worker.status()
    assert status.deployments[0].acknowledged == 1
    assert status.deployments[0].versions[0].condition == "failed"
    client = worker.client()
    assert result(client.predict(ONE)) == 3.0
    not_ready = client.send("GET", "/p/demo/deployments/sums/ready")
    assert not_ready.status == 503
    assert "generation 1 serves on" in not_ready.json()["message"]
    file_server.broken = False
    worker.wait_for_generation(2)
    assert result(client.predict(ONE)) == 103.0
    client.close()


def test_after_a_restart_what_served_last_serves_on_while_the_newest_generation_is_refused(home: Any, models: Any) -> None:
    for model in models:
        home.cache(model)
    home.publish(home.deployment(1, models[0].version(1)))
    worker = home.start()
    worker.wait_for_generation(1)
    home.publish(home.deployment(2, msgspec.structs.replace(models[1].version(2), manifest_digest="0" * 64)))
    worker.wait_for_refusal(2)
    worker.kill()
    again = home.start()
    again.wait_for_generation(1)
    (status,) = again.status().deployments
    assert (status.failed_generation, "does not have the digest" in status.error) == (2, True)
    client = again.client()
    assert result(client.predict(ONE)) == 3.0
    home.publish(home.deployment(3, models[1].version(2)))
    again.wait_for_generation(3)
    assert result(client.predict(ONE)) == 103.0
    client.close()


def test_what_served_last_is_known_until_the_deployment_is_gone(home: Any, models: Any) -> None:
    known = LastGood(home.path)
    first, second = (home.deployment(number, models[0].version(1)) for number in (1, 2))
    assert known.before(second) is None
    known.note(first)
    assert (known.before(second), known.before(first)) == (first, None)
    known.prune({first.id})
    assert known.before(second) == first
    known.prune(set())
    assert known.before(second) is None
    known.note(first)
    for place in (home.path / SERVED_FOLDER).iterdir():
        place.write_bytes(b"{")
    assert known.before(second) is None


def test_a_damaged_cache_is_not_served(home: Any, models: Any) -> None:
    place = home.cache(models[0])
    (place / models[0].manifest.files[0].path).write_bytes(b"?")
    home.publish(home.deployment(1, models[0].version(1)))
    worker = home.start()
    assert "is the control process up?" in worker.wait_for_refusal(1)
    client = worker.client()
    refused = client.predict(ONE)
    assert refused.status == 503
    assert "generation 1 of deployment 'sums' was refused" in refused.json()["message"]
    client.close()


def test_a_state_that_cannot_be_read_or_served_changes_nothing(home: Any, models: Any) -> None:
    home.cache(models[0])
    home.publish(home.deployment(1, models[0].version(1)))
    worker = home.start()
    worker.wait_for_generation(1)
    (home.path / STATE_PATH).write_bytes(b"{")
    home.publish(home.deployment(2, models[0].version(1), routes=(PlaneRoute("sums/1", 5000),)))
    assert "add up to 10000" in worker.wait_for_refusal(2)
    client = worker.client()
    assert result(client.predict(ONE)) == 3.0
    client.close()


def test_revoked_tokens_and_removed_deployments_end_at_once(home: Any, models: Any) -> None:
    home.cache(models[0])
    home.publish(home.deployment(1, models[0].version(1)))
    worker = home.start()
    worker.wait_for_generation(1)
    client = worker.client()
    home.publish()
    until(lambda: client.predict(ONE).status == 404)
    home.tokens.clear()
    home.publish()
    until(lambda: client.predict(ONE).status == 401)
    client.close()


def test_sigterm_answers_what_is_in_flight_and_closes_the_log(home: Any, models: Any) -> None:
    home.cache(models[0])
    home.publish(home.deployment(1, models[0].version(1)))
    worker = home.start()
    worker.wait_for_generation(1)
    with traffic(worker, 4) as load:
        while len(load.replies) < 100:
            time.sleep(0.001)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(10) == 0
    assert {reply.status for reply in load.replies} == {200}
    assert len(home.logged()) == len(load.replies)
    assert {path.suffix for path in (home.path / PREDICTIONS_FOLDER).iterdir()} == {".closed"}


@pytest.mark.parametrize(("policy", "status"), [("serve", 200), ("refuse", 507)])
def test_a_full_disk_is_met_by_the_policy_of_the_deployment_and_counted(home: Any, models: Any, policy: str, status: int) -> None:
    home.cache(models[0])
    home.publish(home.deployment(1, models[0].version(1), on_log_failure=policy))
    worker = home.start(prefix="ulimit -f 16;")
    worker.wait_for_generation(1)
    client = worker.client()
    large = json.dumps(ONE).encode() + b" " * 60_000
    assert client.predict(ONE).status == 200
    assert client.predict(large).status == status
    assert client.predict(ONE).status == 200
    client.close()
    assert worker.stop() == 0
    assert len(home.logged()) == 2


def test_failures_of_the_log_are_in_the_status(home: Any, models: Any) -> None:
    home.cache(models[0])
    home.publish(home.deployment(1, models[0].version(1)))
    worker = home.start(prefix="ulimit -f 16;")
    worker.wait_for_generation(1)
    client = worker.client()
    client.predict(json.dumps(ONE).encode() + b" " * 60_000)
    client.close()
    until(lambda: worker.status().deployments[0].log_failures == 1)


def test_two_workers_on_one_port_both_get_clients(home: Any, models: Any) -> None:
    home.cache(models[0])
    home.publish(home.deployment(1, models[0].version(1)))
    first = home.start("w0")
    second = home.start("w1", port=first.port)
    for worker in (first, second):
        worker.wait_for_generation(1)
    for _ in range(64):
        client = first.client()
        assert client.predict(ONE).status == 200
        client.close()
    with traffic(first, 8) as load:
        while len(load.replies) < 200:
            time.sleep(0.001)
    assert first.stop() == second.stop() == 0
    workers = [path.name[:2] for path in (home.path / PREDICTIONS_FOLDER).iterdir()]
    assert sorted(workers) == ["w0", "w1"]


def test_a_worker_ends_with_its_parent(home: Any) -> None:
    # The shell is the parent; it is killed, not asked.
    worker = home.start(prefix='"$@" & wait; exit;')
    children = f"/proc/{worker.process.pid}/task/{worker.process.pid}/children"
    with open(children) as listed:
        child = int(listed.read().split()[0])
    worker.kill()
    until(lambda: not alive(child))


def alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/status") as status:
            return "State:\tZ" not in status.read()
    except FileNotFoundError:
        return False
