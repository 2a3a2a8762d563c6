"""Scoring by actors of a Ray cluster. Ray is imported late: it is nobody's dependency."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from tilth.core.errors import TilthError
from tilth.core.hashing import Manifest
from tilth.sdk.batch.channel import answer
from tilth.sdk.batch.crews import THREADS, error_of, part_of
from tilth.sdk.batch.errors import InvalidPlace, ScorerLost
from tilth.sdk.batch.places import is_remote
from tilth.sdk.batch.scorer import Scorer
from tilth.sdk.batch.work import Answer, Chunk, Ready, ScoringWork
from tilth.wire.scoring import ScoredPart

SAY_AFTER_S = 10.0


class RayCrew:
    """Actors of the Ray cluster that RAY_ADDRESS or the machine knows of, else of a Ray of this machine. The model travels to them.

    say_after_s: a longer wait for the first actor is told on stderr.
    """

    def __init__(self, work: ScoringWork, processes: int, say_after_s: float = SAY_AFTER_S) -> None:
        try:
            # Any: Ray is installed where it is used, not where this is checked.
            ray: Any = import_module("ray")
        except ImportError as missing:
            raise InvalidPlace("--on ray needs Ray: pip install 'ray[default]'") from missing
        self._ray = ray
        self._began = not ray.is_initialized()
        if self._began:
            ray.init(log_to_driver=False, include_dashboard=False, logging_level="error")
        self._actors: list[Any] = []
        self._coming: dict[Any, Any] = {}
        self._here: list[Any] = []
        with ExitStack() as undo:
            undo.callback(self._end)
            self.engine = self._begin(work, processes, say_after_s)
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        for actor in self._actors:
            self._ray.kill(actor)
        if self._began:
            self._ray.shutdown()

    def _begin(self, work: ScoringWork, processes: int, say_after_s: float) -> str:
        """Starts the actors and waits for the first one; the engine it answers with. Raises InvalidPlace, and as `_arrived`."""
        ray = self._ray
        if len([node for node in ray.nodes() if node["Alive"]]) > 1 and not (is_remote(work.source) and is_remote(work.target)):
            raise InvalidPlace(
                "the Ray cluster has several machines: give --in and --out that all of them reach, such as s3://..."
            )
        environment = {"env_vars": dict.fromkeys(THREADS, "1")}
        actor = ray.remote(num_cpus=1, runtime_env=environment)(_RayScorer)
        files = ray.put(_packed(Path(work.folder)))
        for _ in range(processes):
            self._actors.append(actor.remote(work, files))
        # A cluster that is full lets some of them wait, for as long as others keep its cores: the work begins with the first.
        self._coming.update({each.ready.remote(): each for each in self._actors})
        first, _ = ray.wait(list(self._coming), timeout=say_after_s)
        if not first:
            free, whole = (found.get("CPU", 0) for found in (ray.available_resources(), ray.cluster_resources()))
            sys.stderr.write(
                f"tilth: no actor is ready after {say_after_s:g} s: {free:g} of {whole:g} cores of the Ray cluster are free, and each "
                "actor takes one; waiting goes on\n"
            )
            first, _ = ray.wait(list(self._coming))
        return self._arrived(first[0]).engine

    def scored(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, ScoredPart]]:
        waiting = iter(chunks)
        going: dict[Any, Any] = {}
        idle = list(self._here)
        while True:
            while idle and (chunk := next(waiting, None)) is not None:
                actor = idle.pop()
                going[actor.score.remote(chunk)] = actor
            if not going:
                return
            (first, *_), _ = self._ray.wait([*going, *self._coming])
            if first in self._coming:
                self._arrived(first)
                idle.append(self._here[-1])
                continue
            idle.append(going.pop(first))
            answer: Answer = self._result(first)
            yield answer.chunk, part_of(answer)

    def _arrived(self, reference: Any) -> Ready:
        """Raises ScorerLost, and what kept the actor from loading the model."""
        actor = self._coming.pop(reference)
        ready: Ready = self._result(reference)
        if ready.error:
            raise error_of(ready.kind, ready.error)
        self._here.append(actor)
        return ready

    def _result(self, reference: Any) -> Any:
        """Raises ScorerLost."""
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            raise ScorerLost(
                f"an actor of Ray ended before its work did ({str(error).splitlines()[0][:200]}); call again"
            ) from error


class _RayScorer:
    """Runs in an actor. The model's files are laid out in a folder of its own."""

    def __init__(self, work: ScoringWork, files: dict[str, bytes]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tilth-model-"))
        for name, data in files.items():
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self._scorer: Any = None
        try:
            self._scorer = Scorer(msgspec.structs.replace(work, folder=str(self._folder)))
            self._ready = Ready(engine=self._scorer.engine)
        except TilthError as error:
            self._ready = Ready(kind=error.kind, error=str(error))
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def ready(self) -> Ready:
        return self._ready

    def score(self, chunk: Chunk) -> Answer:
        return answer(self._scorer, chunk)


def _packed(folder: Path) -> dict[str, bytes]:
    return {entry.path: (folder / entry.path).read_bytes() for entry in Manifest.of_folder(folder).files}
