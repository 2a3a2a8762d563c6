"""Requests of one turn of the loop are answered together, logged first, and do not harm each other."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tilth.flavours.port import Outputs, Rows
from tilth.plane.admission import Admission
from tilth.plane.answers import Answer
from tilth.plane.batching import Core
from tilth.plane.latency import Tally
from tilth.plane.prediction_log import PredictionLog
from tilth.plane.routing import RouteTable
from tilth.plane.serving import LoadedVersion, ServedDeployment
from tilth.plane.state import serving_state
from tilth.wire import predictions
from tilth.wire.models import ModelDocument
from tilth.wire.plane import PlaneDeployment, PlaneRoute, PlaneState, PlaneToken, PlaneVersion
from tilth.wire.scores import score_bucket
from tilth.wire.signature import Column, Signature

HEADERS = {b"authorization": b"Bearer t", b"content-type": b"application/json"}
TARGET = b"/p/demo/deployments/doubles/invocations"


class Doubling:
    """A model: twice its input; 13 makes it raise, 14 makes it give the wrong shape. Remembers its batches; waits for `gate`."""

    engine = "doubling"

    def __init__(self, factor: float = 2.0) -> None:
        self.factor = factor
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()
        self.at_work = 0
        self.most_at_work = 0

    def predict(self, rows: Rows) -> Outputs:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        self.begun.set()
        self.gate.wait(20)
        self.batches.append(len(rows))
        self.at_work -= 1
        if (rows == 13).any():
            raise ValueError("unlucky")
        if (rows == 14).any():
            return np.zeros(len(rows) + 1)
        outputs: Outputs = rows[:, 0] * self.factor
        return outputs


class Bench:
    """A core with one deployment of doubling models, over a real prediction log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = PredictionLog(folder, "w0")
        self.core = Core(self.log)
        self.tally = Tally()
        self.models = [Doubling(2.0), Doubling(3.0)]
        self.deploy()

    def deploy(self, *weights: int, **options: Any) -> None:
        sealed = tuple(PlaneVersion("doubles", number, "m", "", ()) for number in (1, 2))
        document = ModelDocument("none", Signature((Column("x", "double"),), (Column("y", "double"),)), "predict", "none")
        loaded = tuple(LoadedVersion(*pair, model) for *pair, model in zip(sealed, [document] * 2, self.models, strict=True))
        shares = weights or (10_000, 0)
        routes = tuple(PlaneRoute(version.key, share) for version, share in zip(sealed, shares, strict=True))
        wanted = PlaneDeployment("d1", "p1", "demo", "doubles", 1, sealed, routes, **options)
        served = ServedDeployment(wanted, RouteTable("salt", zip(shares, loaded, strict=True)), loaded, self.tally)
        token = PlaneToken(hashlib.sha256(b"t").hexdigest(), "someone", ("p1",), None)
        self.core.state = serving_state(PlaneState(1, 0, "", (wanted,), (token,)), {"d1": served}, {})

    def send(self, *values: Any, body: bytes | None = None, **headers: str) -> asyncio.Future[Answer]:
        given = HEADERS | {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        slip = self.core.admit("POST", TARGET, given)
        assert isinstance(slip, Admission), slip
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        sent = json.dumps({"instances": [[value] for value in values]}).encode() if body is None else body
        self.core.submit(slip, sent, answer.set_result)
        return answer

    def logged(self) -> list[predictions.PredictionFrame]:
        frames = []
        for path in self.folder.iterdir():
            with path.open("rb") as segment:
                frames += list(predictions.iterate(segment))
        return frames


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "predictions")
    yield made
    made.log.close()


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def values(answer: Answer) -> Any:
    assert answer.status == 200, answer
    return json.loads(answer.body)["predictions"]


def test_requests_of_one_turn_become_one_batch_with_each_its_own_answer(bench: Bench) -> None:
    async def scenario() -> None:
        answers = await asyncio.gather(bench.send(1), bench.send(2, 3), bench.send(), bench.send(4))
        assert [values(answer) for answer in answers] == [[2.0], [4.0, 6.0], [], [8.0]]
        assert bench.models[0].batches == [4]

    run(scenario)


def test_one_bad_request_does_not_fail_its_neighbours(bench: Bench) -> None:
    async def scenario() -> None:
        good, raising, shapeless, other = await asyncio.gather(bench.send(1), bench.send(13), bench.send(14), bench.send(2))
        assert (values(good), values(other)) == ([2.0], [4.0])
        assert raising.status == shapeless.status == 500
        assert b"doubles/1 failed on this request: ValueError: unlucky" in raising.body
        assert (bench.tally.requests, bench.tally.rows, bench.tally.errors) == (4, 2, 2)
        assert len(bench.logged()) == 2

    run(scenario)


def test_each_version_is_counted_by_what_became_of_its_requests(bench: Bench) -> None:
    async def scenario() -> None:
        await asyncio.gather(bench.send(1), bench.send(2, 3), bench.send(13), bench.send("word"), bench.send())
        counts = bench.tally.of("doubles/1").present("doubles/1")
        assert (counts.requests, counts.rows, counts.errors, counts.refused, sum(counts.latency_buckets)) == (5, 3, 1, 1, 5)
        assert (bench.tally.errors, bench.tally.refused) == (1, 1)
        assert counts.scores == {score_bucket(value): 1 for value in (2.0, 4.0, 6.0)}
        assert list(bench.tally.versions) == ["doubles/1"]

    run(scenario)


def test_a_batch_is_capped_and_the_rest_goes_into_the_next_turn(bench: Bench) -> None:
    async def scenario() -> None:
        await asyncio.gather(*(bench.send(*range(100, 200)) for _ in range(6)))
        assert bench.models[0].batches == [200, 200, 200]
        assert bench.tally.queued_rows == 0

    run(scenario)


def test_rows_above_the_bound_of_the_queue_are_refused_with_retry_after(bench: Bench) -> None:
    async def scenario() -> None:
        bench.deploy(max_queue_rows=5)
        kept, refused, small = await asyncio.gather(bench.send(1, 2, 3, 4), bench.send(5, 6), bench.send(7))
        assert values(kept) == [2.0, 4.0, 6.0, 8.0]
        assert values(small) == [14.0]
        assert refused.status == 503
        assert (b"retry-after", b"1") in refused.headers

    run(scenario)


def test_a_request_beyond_its_deadline_is_not_predicted(bench: Bench) -> None:
    async def scenario() -> None:
        late = bench.send(1, x_timeout_ms="1")
        threading.Event().wait(0.01)
        assert (await late).status == 504
        assert bench.models[0].batches == []
        assert values(await bench.send(1, x_timeout_ms="5000")) == [2.0]

    run(scenario)


def test_a_large_request_leaves_the_loop_to_others_and_keeps_its_deadline(bench: Bench) -> None:
    async def scenario() -> None:
        bench.models[0].gate.clear()
        large = bench.send(*range(1000, 3000))
        late = bench.send(*range(1000, 2000), x_timeout_ms="20")
        assert (await late).status == 504
        assert not large.done()
        bench.models[0].gate.set()
        assert values(await large) == [2.0 * value for value in range(1000, 3000)]
        assert max(bench.models[0].batches) <= 256
        assert len(bench.logged()) == 1

    run(scenario)


def test_a_model_is_asked_by_one_thread_at_a_time_and_a_small_request_waits_for_a_piece_of_a_large_one(bench: Bench) -> None:
    async def scenario() -> None:
        bench.models[0].gate.clear()
        large = bench.send(*range(1000, 2000))
        await asyncio.to_thread(bench.models[0].begun.wait, 20)
        small = [bench.send(1), bench.send(2)]
        await asyncio.sleep(0)  # the turn of the loop that would predict them
        bench.models[0].gate.set()
        assert [values(answer) for answer in await asyncio.gather(*small)] == [[2.0], [4.0]]
        assert values(await large) == [2.0 * value for value in range(1000, 2000)]
        assert bench.models[0].batches == [256, 2, 256, 256, 232]
        assert bench.models[0].most_at_work == 1
        assert (bench.tally.queued_rows, bench.tally.large_pending) == (0, 0)

    run(scenario)


def test_large_bodies_are_decoded_beside_the_loop_with_the_same_refusals(bench: Bench) -> None:
    async def scenario() -> None:
        padded = b'{"instances": [[1]' + b" " * 200_000
        good, malformed, failing = await asyncio.gather(
            bench.send(body=padded + b"]}"), bench.send(body=padded), bench.send(body=padded + b",[13]]}")
        )
        assert values(good) == [2.0]
        assert (malformed.status, failing.status) == (400, 500)

    run(scenario)


def test_only_so_many_large_requests_wait(bench: Bench) -> None:
    async def scenario() -> None:
        bench.models[0].gate.clear()
        sent = [bench.send(*range(20, 320)) for _ in range(10)]
        assert [answer.result().status for answer in sent if answer.done()] == [503, 503]
        bench.models[0].gate.set()
        await asyncio.gather(*sent)
        assert bench.tally.large_pending == 0

    run(scenario)


def test_the_log_holds_what_was_asked_and_answered(bench: Bench) -> None:
    async def scenario() -> None:
        answer = await bench.send(5, x_request_id="order-7")
        (frame,) = bench.logged()
        assert json.loads(frame.body) == {"instances": [[5]]}
        assert frame.answer == answer.body
        assert (frame.request_id, frame.version, frame.deployment_id, frame.rows) == ("order-7", "doubles/1", "d1", 1)
        assert frame.prediction_id == json.loads(answer.body)["prediction_id"]
        assert (b"x-request-id", b"order-7") in answer.headers
        assert (b"x-prediction-id", frame.prediction_id.encode()) in answer.headers

    run(scenario)


def test_the_same_route_key_always_meets_the_same_version(bench: Bench) -> None:
    async def scenario() -> None:
        bench.deploy(5000, 5000)
        versions = set()
        for key in ("ada", "bob", "cyd", "dee", "eve", "fay", "gus", "hal", "ida", "joe"):
            met = {json.loads((await bench.send(1, x_route_key=key)).body)["version"] for _ in range(5)}
            assert len(met) == 1
            versions |= met
        assert versions == {"1", "2"}

    run(scenario)


@pytest.mark.parametrize(("policy", "status"), [("serve", 200), ("refuse", 503)])
def test_without_a_log_the_policy_of_the_deployment_decides(bench: Bench, policy: str, status: int) -> None:
    async def scenario() -> None:
        bench.deploy(on_log_failure=policy, log_sync="each")
        bench.folder.rmdir()
        answer = await bench.send(1)
        bench.folder.mkdir()
        assert answer.status == status
        assert bench.tally.log_failures == 1
        assert (await bench.send(1)).status == 200

    run(scenario)
