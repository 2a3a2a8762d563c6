"""Versions that are slow, hang, crash or grow: their own requests fail, their neighbours' and health checks do not."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.plane.unruly_models import CRASH, HANG, LEAK, PID, RAISE, SLOW, Named, Unruly

from tilth.core.hashing import Manifest
from tilth.wire.plane import PlaneDeployment, VersionStatus

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Named]:
    place = tmp_path_factory.mktemp("unruly")
    kinds = {"quick": Unruly(), "slow": Unruly(pause_s=0.02), "other": Unruly(offset=1.0)}
    return {name: Named(place / name, name, model) for name, model in kinds.items()}


class Served:
    """One worker and what it serves."""

    def __init__(self, worker: Any) -> None:
        self.worker = worker
        self.client = worker.client()

    def ask(self, deployment: str, *values: float, client: Any = None, **headers: str) -> Any:
        body = {"instances": [[value, 0.0] for value in values]}
        return (client or self.client).send("POST", f"/p/demo/deployments/{deployment}/invocations", body, **headers)

    def value(self, deployment: str, value: float) -> float:
        reply = self.ask(deployment, value)
        assert reply.status == 200, reply
        return float(reply.json()["predictions"][0])

    def in_background(self, deployment: str, *values: float) -> Callable[[], Any]:
        replies: list[Any] = []

        def send() -> None:
            client = self.worker.client()
            replies.append(self.ask(deployment, *values, client=client))
            client.close()

        thread = threading.Thread(target=send)
        thread.start()

        def wait() -> Any:
            thread.join(PATIENCE_S)
            return replies[0]

        return wait

    def status(self, deployment: str) -> VersionStatus:
        status = self.worker.status()
        return next(each.versions[0] for each in status.deployments if each.id == f"d-{deployment}")

    def acknowledged(self) -> bool:
        return all(each.acknowledged for each in self.worker.status().deployments)

    def until(self, deployment: str, condition: str) -> VersionStatus:
        end = time.monotonic() + PATIENCE_S
        while (status := self.status(deployment)).condition != condition:
            assert time.monotonic() < end, f"{deployment} is {status}, not {condition}"
            time.sleep(0.05)
        return status

    def eventually(self, deployment: str, value: float) -> float:
        end = time.monotonic() + PATIENCE_S
        while (reply := self.ask(deployment, value)).status != 200:
            assert time.monotonic() < end, reply
            time.sleep(0.05)
        return float(reply.json()["predictions"][0])


@pytest.fixture
def serve(home: Any, made: dict[str, Named]) -> Iterator[Callable[..., Served]]:
    clients: list[Any] = []

    def start(*deployments: PlaneDeployment, options: tuple[str, ...] = ()) -> Served:
        for model in made.values():
            home.cache(model)
        home.publish(*deployments)
        served = Served(home.start(options=options))
        clients.append(served.client)
        end = time.monotonic() + 2 * PATIENCE_S
        while not (status := served.worker.status()) or [each.acknowledged for each in status.deployments] != [
            each.generation for each in deployments
        ]:
            assert time.monotonic() < end, status
            time.sleep(0.05)
        return served

    yield start
    for client in clients:
        client.close()


def test_a_slow_version_predicts_beside_the_loop_and_its_waiting_requests_join(serve: Any, made: Any) -> None:
    served = serve(made["slow"].deployed("slow"), made["quick"].deployed("quick"))
    assert (served.status("slow").lane, served.status("quick").lane) == ("thread", "inline")
    waiting = [served.in_background("slow", float(number)) for number in range(8)]
    assert sorted(wait().json()["predictions"][0] for wait in waiting) == [float(number) for number in range(8)]
    bad, good = served.in_background("slow", RAISE), served.in_background("slow", 5.0)
    assert (bad().status, good().json()["predictions"]) == (500, [5.0])


def test_a_version_that_hangs_in_its_thread_is_refused_while_its_neighbours_and_health_go_on(serve: Any, made: Any) -> None:
    served = serve(made["slow"].deployed("slow", predict_timeout_s=0.5), made["quick"].deployed("quick"))
    hung = served.in_background("slow", HANG)
    time.sleep(0.2)  # it has the thread by then
    behind = served.in_background("slow", 1.0, 2.0)
    assert served.value("quick", 3.0) == 3.0
    assert served.client.send("GET", "/health/live").status == 200
    assert (hung().status, behind().status) == (504, 503)
    assert "hangs" in served.ask("slow", 1.0).json()["message"]
    assert served.until("slow", "stuck").lane == "thread"
    assert served.value("quick", 4.0) == 4.0


def test_a_hang_on_the_loop_ends_the_worker_and_all_others_run_the_version_in_a_process(home: Any, serve: Any, made: Any) -> None:
    deployments = (made["quick"].deployed("quick", predict_timeout_s=0.5), made["other"].deployed("other"))
    served = serve(*deployments)
    neighbour = Served(home.start("w1"))
    assert (served.status("quick").lane, neighbour.eventually("quick", 2.0)) == ("inline", 2.0)
    reply = served.ask("quick", HANG)
    assert (reply.status, "ask again" in reply.json()["message"]) == (503, True)
    assert served.worker.process.wait(PATIENCE_S) == 75
    again = Served(home.start())
    end = time.monotonic() + PATIENCE_S
    while not (status := again.worker.status()) or status.pid != again.worker.process.pid or not again.acknowledged():
        assert time.monotonic() < end
        time.sleep(0.05)
    assert (again.status("quick").lane, again.status("other").lane) == ("process", "inline")
    assert "hung on the event loop" in again.status("quick").remark
    assert again.ask("quick", HANG).status == 504
    assert again.eventually("quick", 2.0) == 2.0
    assert again.value("other", 1.0) == 2.0
    while neighbour.status("quick").lane != "process":
        assert time.monotonic() < end
        assert neighbour.value("quick", 2.0) == 2.0
    assert neighbour.worker.process.poll() is None
    again.client.close()
    neighbour.client.close()


def test_a_deployment_that_loads_for_long_holds_up_no_other(home: Any, serve: Any, made: Any, tmp_path: Path) -> None:
    hanging = Named(tmp_path / "hanging", "hanging", Unruly(at_zero=HANG))
    home.cache(hanging)
    served = serve(made["quick"].deployed("quick"))
    home.publish(hanging.deployed("hanging", predict_timeout_s=60.0), made["quick"].deployed("quick", generation=2))
    end = time.monotonic() + PATIENCE_S
    while [each.acknowledged for each in served.worker.status().deployments] != [0, 2]:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert served.ask("hanging", 1.0).status == 503
    assert served.value("quick", 2.0) == 2.0


def test_a_caller_in_a_hurry_is_answered_at_his_own_deadline(serve: Any, made: Any) -> None:
    served = serve(made["slow"].deployed("slow"))
    assert served.ask("slow", SLOW, x_timeout_ms="50").status == 504
    assert served.value("slow", 2.0) == 2.0


def test_a_version_in_a_process_of_its_own_hangs_crashes_and_leaks_alone(serve: Any, made: Any) -> None:
    runtime = {"process": True, "predict_timeout_s": 4.0, "memory_mb": 350}
    served = serve(made["quick"].deployed("apart", **runtime), made["other"].deployed("quick"))
    assert served.status("apart").lane == "process"
    assert served.eventually("apart", PID) != served.value("quick", PID) - 1.0
    for row, status in ((HANG, 504), (CRASH, 503), (LEAK, 503), (RAISE, 500)):
        assert served.ask("apart", row).status == status
        assert served.value("quick", 3.0) == 4.0
        assert served.eventually("apart", 2.0) == 2.0
    assert served.until("apart", "ready").restarts == 3


def test_a_deployment_moves_between_the_loop_threads_and_processes_under_load_without_a_failed_request(
    home: Any, serve: Any, made: Any
) -> None:
    served = serve(made["quick"].deployed("moving"))
    replies: list[Any] = []
    stop = threading.Event()

    def load() -> None:
        client = served.worker.client()
        while not stop.is_set():
            replies.append(served.ask("moving", 2.0, client=client))
        client.close()

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for generation, (name, runtime) in enumerate(
            [("quick", {"process": True}), ("slow", {}), ("quick", {"load": "lazy"}), ("other", {"max_processes": 2})], 2
        ):
            home.publish(made[name].deployed("moving", generation=generation, **runtime))
            served.worker.wait_for_generation(generation)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {reply.status for reply in replies} == {200}
    assert served.value("moving", 2.0) == 3.0


def test_what_waits_for_a_slow_version_is_bounded(serve: Any, made: Any) -> None:
    deployment = msgspec.structs.replace(made["slow"].deployed("slow"), max_queue_rows=3)
    served = serve(deployment)
    busy = served.in_background("slow", SLOW)
    time.sleep(0.2)
    waiting = [served.in_background("slow", 1.0, 2.0) for _ in range(4)]
    statuses = sorted(wait().status for wait in waiting)
    assert (busy().status, statuses) == (200, [200, 503, 503, 503])


def test_a_version_that_turns_out_slow_leaves_the_loop(serve: Any, made: Any) -> None:
    served = serve(made["quick"].deployed("quick"))
    for _ in range(3):
        assert served.value("quick", SLOW) == SLOW
    end = time.monotonic() + PATIENCE_S
    while served.status("quick").lane != "thread":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert served.value("quick", 2.0) == 2.0


def test_a_large_request_to_a_process_is_answered_in_pieces(serve: Any, made: Any) -> None:
    served = serve(made["quick"].deployed("apart", process=True))
    reply = served.ask("apart", *map(float, range(700)))
    assert reply.json()["predictions"] == list(map(float, range(700)))


def test_what_waits_gets_more_processes_within_the_bounds(serve: Any, made: Any) -> None:
    served = serve(made["quick"].deployed("apart", process=True, max_processes=2))
    end = time.monotonic() + PATIENCE_S
    while served.status("apart").processes < 2:
        assert time.monotonic() < end
        for wait in [served.in_background("apart", SLOW) for _ in range(3)]:
            assert wait().status == 200
    assert served.status("apart").restarts == 0


def test_an_interpreter_that_is_none_is_refused_and_what_served_before_serves_on(home: Any, serve: Any, made: Any) -> None:
    served = serve(made["quick"].deployed("apart"))
    home.publish(made["quick"].deployed("apart", generation=2, python="/no/such/python"))
    assert "no program on this machine" in served.worker.wait_for_refusal(2)
    assert served.value("apart", 2.0) == 2.0
    home.publish(made["quick"].deployed("apart", generation=3, python=sys.executable))
    end = time.monotonic() + PATIENCE_S
    while served.worker.status().deployments[0].acknowledged != 3:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert served.status("apart").lane == "process"


@pytest.mark.parametrize(
    ("at_zero", "runtime", "why"),
    [
        (RAISE, {}, "ValueError: unlucky"),
        (HANG, {"predict_timeout_s": 0.5}, "gave no answer within 0.5 s while it warmed up"),
        (RAISE, {"process": True}, "ValueError: unlucky"),
        (CRASH, {"process": True}, "was ended by SIGSEGV"),
        (HANG, {"process": True, "predict_timeout_s": 0.5}, "gave no answer within 0.5 s"),
    ],
)
def test_a_version_that_cannot_warm_up_is_refused_and_the_old_one_serves_on(
    home: Any, serve: Any, made: Any, tmp_path: Path, at_zero: float, runtime: dict[str, Any], why: str
) -> None:
    served = serve(made["quick"].deployed("warm"))
    broken = Named(tmp_path / "broken", "broken", Unruly(at_zero=at_zero))
    home.cache(broken)
    home.publish(broken.deployed("warm", generation=2, **runtime))
    assert why in served.worker.wait_for_refusal(2)
    assert served.value("warm", 2.0) == 2.0
    assert served.worker.status().deployments[0].acknowledged == 1


def test_lazy_versions_come_with_their_first_request_and_go_when_idle(serve: Any, made: Any) -> None:
    served = serve(made["quick"].deployed("lazy", load="lazy", idle_unload_s=0.2))
    assert served.worker.status().deployments[0].acknowledged == 1
    served.until("lazy", "unloaded")
    assert served.value("lazy", 2.0) == 2.0
    served.until("lazy", "unloaded")
    assert served.value("lazy", 3.0) == 3.0


def test_a_lazy_version_is_unloaded_when_a_v2_client_says_so(serve: Any, made: Any) -> None:
    served = serve(made["quick"].deployed("lazy", load="lazy", idle_unload_s=0.0), made["other"].deployed("eager"))
    assert served.value("lazy", 2.0) == 2.0
    served.until("lazy", "ready")
    assert served.client.send("POST", "/p/demo/v2/repository/models/lazy/unload", {}).status == 200
    served.until("lazy", "unloaded")
    assert served.value("lazy", 3.0) == 3.0
    assert served.client.send("POST", "/p/demo/v2/repository/models/eager/unload", {}).status == 400


def test_lazy_versions_share_a_budget_and_the_one_used_longest_ago_goes(serve: Any, made: Any) -> None:
    lazy = {"load": "lazy", "idle_unload_s": 0.0, "process": True}
    served = serve(
        made["quick"].deployed("one", **lazy), made["other"].deployed("two", **lazy), options=("--memory-budget-mb", "1")
    )
    assert served.value("one", 2.0) == 2.0
    assert served.until("one", "ready").memory_bytes > 1 << 20
    assert served.value("two", 2.0) == 3.0
    served.until("one", "unloaded")
    assert served.until("two", "ready").processes == 1
    assert served.value("one", 5.0) == 5.0


def test_what_a_lazy_version_takes_counts_from_its_first_loading_on(home: Any, serve: Any, tmp_path: Path) -> None:
    models = [Named(tmp_path / name, name, Unruly(held_mb=200)) for name in ("one", "two", "three")]
    for model in models:
        home.cache(model)
    lazy = {"load": "lazy", "idle_unload_s": 0.0}
    served = serve(*(model.deployed(model.name, **lazy) for model in models), options=("--memory-budget-mb", "500"))
    assert "unloaded" in {served.status(model.name).condition for model in models}
    for model in models:
        assert served.value(model.name, 2.0) == 2.0
    assert served.until("one", "unloaded").memory_bytes == 0
    assert served.until("three", "ready").memory_bytes > 190 << 20


def test_a_lazy_version_whose_files_are_damaged_meanwhile_is_answered_503(home: Any, serve: Any, made: Any) -> None:
    served = serve(made["quick"].deployed("lazy", load="lazy", idle_unload_s=0.1))
    served.until("lazy", "unloaded")
    for path in (home.path / "plane" / "cache").rglob("model.pkl"):
        path.write_bytes(b"garbage")
    reply = served.ask("lazy", 2.0)
    assert reply.status == 503
    assert "cannot be loaded" in reply.json()["message"]


def test_a_document_that_says_isolated_never_runs_in_the_server(home: Any, serve: Any, made: Any, tmp_path: Path) -> None:
    model = made["quick"]
    document = msgspec.json.decode((model.folder / "tilth.json").read_bytes())
    changed = Named(tmp_path / "isolated", "isolated", Unruly())
    (changed.folder / "tilth.json").write_bytes(msgspec.json.encode({**document, "isolated": True}))
    changed.manifest = Manifest.of_folder(changed.folder)
    home.cache(changed)
    served = serve(changed.deployed("isolated"))
    assert served.status("isolated").lane == "process"
    assert int(served.value("isolated", PID)) != served.worker.process.pid
