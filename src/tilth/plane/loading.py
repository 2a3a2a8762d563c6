"""From a wanted deployment to a served one: fetch, verify, load and warm. Blocking; runs in the loading threads."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import wait
from functools import partial
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary, finalize, ref

import msgspec
import numpy as np

from tilth.core import clock
from tilth.core.errors import TilthError
from tilth.flavours.explaining import load_explainer
from tilth.flavours.mlflow_folder import SERVING_EXAMPLE_NAME
from tilth.plane.arrays import zeros_of
from tilth.plane.cache import ArtifactDamaged, ModelCache
from tilth.plane.engines import Engine, start_engine
from tilth.plane.fetching import ModelSource
from tilth.plane.forms import read_form
from tilth.plane.hung import HungMarks
from tilth.plane.inputs import Inputs, count_of, repeated
from tilth.plane.lane import Lane
from tilth.plane.latency import Tally
from tilth.plane.residence import LazyArrayPredictor, LazyPredictor, Residence, Resident, weighed
from tilth.plane.routing import InvalidRoutes, RouteTable
from tilth.plane.serving import LoadedVersion, ServedDeployment
from tilth.wire.models import DOCUMENT_NAME, ModelDocument, model_documents
from tilth.wire.plane import CACHE_FOLDER, TOKEN_PATH, PlaneDeployment, PlaneRuntime, PlaneVersion

WARM_UP_ROWS = (1, 1, 64, 1)
"""Sizes of the batches a model predicts before it takes traffic: engines build threads, buffers and caches on their first calls."""
SLOW_S = 0.005
"""A version that takes longer for one row predicts beside the event loop."""
SWITCH_S = 0.0005
"""How long a thread that computes in Python may keep the interpreter from the event loop, once a slow version is loaded."""
SLACK_S = 0.5
"""Beyond `predict_timeout_s`, so that a process that hangs is told of by those who end it."""
RELOAD_S = 180.0
"""How long the first request of a lazy version that is away may take besides."""


class VersionRefused(TilthError):
    """A version cannot be served here; the generation that wants it is refused and the one before serves on."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key


class WarmUpTooSlow(TilthError):
    """A version hangs, or is slower than its deployment allows, before it took any traffic."""


class Folders(Protocol):
    """Where the folders of versions are found."""

    def folder_of(self, version: PlaneVersion, source: ModelSource) -> Path: ...

    def prune(self, wanted: Collection[str], now: clock.Millis) -> None: ...


class Loader:
    """Keeps each version in memory once for each way of running it, for as long as some deployment serves it. Thread-safe."""

    def __init__(self, home: Path, residence: Residence, folders: Folders | None = None) -> None:
        """folders: where models stand; by default the cache of the home."""
        self._home = home
        self._cache: Folders = folders or ModelCache(home / CACHE_FOLDER)
        self._residence = residence
        self._hung = HungMarks(home)
        self._loaded: WeakValueDictionary[tuple[str, str, PlaneRuntime], LoadedVersion] = WeakValueDictionary()
        # Two deployments may want the same version at once, and then only one of them shall load it.
        self._guards = [threading.Lock() for _ in range(64)]

    def load(self, wanted: PlaneDeployment, control_url: str, tally: Tally) -> ServedDeployment:
        """Raises VersionRefused and InvalidRoutes."""
        source = ModelSource(control_url, self._home / TOKEN_PATH)
        versions = {version.key: self._version(version, source, wanted.runtime) for version in wanted.versions}
        return ServedDeployment(wanted, _routes(wanted, versions), tuple(versions.values()), tally)

    def prune(self, wanted: Collection[str]) -> None:
        self._cache.prune(wanted, clock.now())
        self._hung.prune(wanted)

    def _version(self, sealed: PlaneVersion, source: ModelSource, runtime: PlaneRuntime) -> LoadedVersion:
        hung = sealed.manifest_digest in self._hung
        if hung:
            runtime = msgspec.structs.replace(runtime, process=True)
        identity = (sealed.key, sealed.manifest_digest, runtime)
        with self._guards[hash(identity) % len(self._guards)]:
            loaded = self._loaded.get(identity)
            if loaded is None:
                try:
                    loaded = self._load(sealed, source, runtime)
                except TilthError as error:
                    raise VersionRefused(sealed.key, str(error)) from error
                except BaseException as error:
                    # Loading runs a framework on a user's model: it may raise anything, SystemExit too.
                    raise VersionRefused(sealed.key, f"cannot be loaded: {type(error).__name__}: {str(error)[:300]}") from error
                self._loaded[identity] = loaded
            if hung:
                loaded.remark = "hung on the event loop and so runs in a process of its own"
            return loaded

    def _load(self, sealed: PlaneVersion, source: ModelSource, runtime: PlaneRuntime) -> LoadedVersion:
        folder = self._cache.folder_of(sealed, source)
        document = _document(sealed, folder)
        engine, size = weighed(lambda: start_engine(sealed.key, folder, document, runtime, self._home))
        try:
            loaded = _warmed(sealed, document, runtime, engine, folder)
            loaded.explains = partial(load_explainer, folder, document)
        except BaseException:
            engine.close()
            raise
        if runtime.load == "lazy":
            # Verified again at each loading: the folder may have been damaged meanwhile.
            self._make_lazy(
                loaded,
                runtime,
                engine,
                lambda: start_engine(sealed.key, self._cache.folder_of(sealed, source), document, runtime, self._home),
                size,
                sum(file.size for file in sealed.files),
            )
        elif engine.pool is not None:
            finalize(loaded, _close_aside, engine.close)
        return loaded

    def _make_lazy(
        self,
        loaded: LoadedVersion,
        runtime: PlaneRuntime,
        first: Engine,
        build: Callable[[], Engine],
        size: int,
        least: int,
    ) -> None:
        fast = loaded.inline
        resident = Resident(loaded.key, build, first, size, least, runtime.idle_unload_s, self._residence)
        kind = LazyArrayPredictor if loaded.signature.named else LazyPredictor
        loaded.become_lazy(kind(resident, loaded.engine), resident)
        version = ref(loaded)

        def entered(engine: Engine) -> None:
            if (found := version()) is not None:
                found.lane.pool = engine.pool
                found.inline = fast

        def left() -> None:
            if (found := version()) is not None:
                found.inline = False
                found.lane.pool = None

        resident.entered, resident.left = entered, left
        finalize(loaded, _close_aside, resident.close)
        if not self._residence.fits():
            resident.unload()


def _close_aside(close: Callable[[], None]) -> None:
    """Processes take a moment to end, and the last to hold a version may be the event loop."""
    threading.Thread(target=close, name="closing-version", daemon=True).start()


def _warmed(sealed: PlaneVersion, document: ModelDocument, runtime: PlaneRuntime, engine: Engine, folder: Path) -> LoadedVersion:
    """`inline` where it is fast enough for the event loop."""
    lane: Lane[object] = Lane(
        runtime.predict_timeout_s + (RELOAD_S if runtime.load == "lazy" else 0.0), engine.pool, runtime.most_processes
    )
    loaded = LoadedVersion(sealed, document, engine.predictor, lane)
    first = _first_rows(folder, loaded)
    fastest = float("inf")
    for count in WARM_UP_ROWS:
        # In the version's own thread: one that hangs must not take a loading thread with it.
        running = loaded.lane.threads.submit(_predict_once, loaded, repeated(first, count))
        if not wait([running], runtime.predict_timeout_s + SLACK_S).done:
            raise WarmUpTooSlow(
                f"gave no answer within {runtime.predict_timeout_s:g} s while it warmed up with {count} rows; "
                "raise the setting predict_timeout_s if it may take longer"
            )
        took = running.result()
        if count == 1:
            fastest = min(fastest, took)
    loaded.lane.let_threads_go()
    loaded.inline = engine.pool is None and fastest <= SLOW_S
    if engine.pool is None and not loaded.inline:
        sys.setswitchinterval(SWITCH_S)
    return loaded


def _predict_once(loaded: LoadedVersion, rows: Inputs) -> float:
    """Seconds that it took."""
    begun = clock.perf()
    loaded.listed(loaded.predict(rows))
    return clock.perf() - begun


def _first_rows(folder: Path, loaded: LoadedVersion) -> Inputs:
    """At least one row to warm up with. Named arrays: the example that was saved beside the model, since zeros of any length may be
    nothing that it can read; where there is none, zeros and empty texts."""
    signature = loaded.signature
    if not signature.named:
        return np.zeros((1, len(signature.inputs)))
    with contextlib.suppress(FileNotFoundError):
        example = loaded.encoder.encode(read_form((folder / SERVING_EXAMPLE_NAME).read_bytes()))
        if count_of(example):
            return example
    return {given.name: zeros_of(given) for given in signature.tensors or signature.inputs}


def _document(sealed: PlaneVersion, folder: Path) -> ModelDocument:
    try:
        return model_documents.decode((folder / DOCUMENT_NAME).read_bytes())
    except FileNotFoundError as error:
        raise ArtifactDamaged(f"the folder of {sealed.key} has no {DOCUMENT_NAME}: log the model with tilth.log_model") from error
    except msgspec.DecodeError as error:
        raise ArtifactDamaged(f"{DOCUMENT_NAME} of {sealed.key} cannot be read: {error}") from error


def _routes(wanted: PlaneDeployment, versions: Mapping[str, LoadedVersion]) -> RouteTable[LoadedVersion]:
    unknown = [route.version for route in wanted.routes if route.version not in versions]
    if unknown:
        raise InvalidRoutes(f"a route leads to {unknown[0]}, which is no version of the deployment")
    return RouteTable(wanted.salt, ((route.weight, versions[route.version]) for route in wanted.routes))
