"""Scoring by actors of a Ray cluster. Ray is imported late: it is nobody's dependency."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
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


class RayCrew:
    """Actors of the Ray cluster that RAY_ADDRESS or the machine knows of, else of a Ray of this machine. The model travels to them."""

    def __init__(self, work: ScoringWork, processes: int) -> None:
        try:
            # Any: Ray is installed where it is used, not where this is checked.
            ray: Any = import_module("ray")
        except ImportError as missing:
            raise InvalidPlace("--on ray needs Ray: pip install 'ray[default]'") from missing
        self._ray = ray
        self._began = not ray.is_initialized()
        if self._began:
            ray.init(log_to_driver=False, include_dashboard=False, logging_level="error")
        if len([node for node in ray.nodes() if node["Alive"]]) > 1 and not (is_remote(work.source) and is_remote(work.target)):
            raise InvalidPlace(
                "the Ray cluster has several machines: give --in and --out that all of them reach, such as s3://..."
            )
        environment = {"env_vars": dict.fromkeys(THREADS, "1")}
        actor = ray.remote(num_cpus=1, runtime_env=environment)(_RayScorer)
        files = ray.put(_packed(Path(work.folder)))
        self._actors = [actor.remote(work, files) for _ in range(processes)]
        ready: list[Ready] = ray.get([each.ready.remote() for each in self._actors])
        if trouble := next((each for each in ready if each.error), None):
            raise error_of(trouble.kind, trouble.error)
        self.engine = ready[0].engine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for actor in self._actors:
            self._ray.kill(actor)
        if self._began:
            self._ray.shutdown()

    def scored(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, ScoredPart]]:
        waiting = iter(chunks)
        going: dict[Any, Any] = {}
        for actor in self._actors:
            if (chunk := next(waiting, None)) is not None:
                going[actor.score.remote(chunk)] = actor
        while going:
            (first, *_), _ = self._ray.wait(list(going))
            actor = going.pop(first)
            try:
                answer: Answer = self._ray.get(first)
            except self._ray.exceptions.RayError as error:
                raise ScorerLost(
                    f"an actor of Ray ended before its work did ({str(error).splitlines()[0][:200]}); call again"
                ) from error
            if (chunk := next(waiting, None)) is not None:
                going[actor.score.remote(chunk)] = actor
            yield answer.chunk, part_of(answer)


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
