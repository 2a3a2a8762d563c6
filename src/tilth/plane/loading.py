"""From a wanted deployment to a served one: fetch, verify, load and warm. Blocking; runs in the loading thread."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec
import numpy as np

from tilth.core import clock
from tilth.core.errors import TilthError
from tilth.flavours import load_predictor
from tilth.flavours.mlflow_folder import SERVING_EXAMPLE_NAME
from tilth.plane.arrays import zeros_of
from tilth.plane.cache import ArtifactDamaged, ModelCache
from tilth.plane.fetching import ModelSource
from tilth.plane.forms import read_form
from tilth.plane.inputs import Inputs, count_of, repeated
from tilth.plane.latency import Tally
from tilth.plane.routing import InvalidRoutes, RouteTable
from tilth.plane.serving import LoadedVersion, ServedDeployment
from tilth.wire.models import DOCUMENT_NAME, ModelDocument
from tilth.wire.plane import CACHE_FOLDER, TOKEN_PATH, PlaneDeployment, PlaneVersion

WARM_UP_ROWS = (1, 1, 64, 1)
"""Sizes of the batches a model predicts before it takes traffic: engines build threads, buffers and caches on their first calls."""


class VersionRefused(TilthError):
    """A version cannot be served here; the generation that wants it is refused and the one before serves on."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key


class Loader:
    """Keeps each version in memory once, for as long as some deployment serves it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._cache = ModelCache(home / CACHE_FOLDER)
        self._loaded: WeakValueDictionary[tuple[str, str], LoadedVersion] = WeakValueDictionary()

    def load(self, wanted: PlaneDeployment, control_url: str, tally: Tally) -> ServedDeployment:
        """Raises VersionRefused and InvalidRoutes."""
        source = ModelSource(control_url, self._home / TOKEN_PATH)
        versions = {version.key: self._version(version, source) for version in wanted.versions}
        return ServedDeployment(wanted, _routes(wanted, versions), tuple(versions.values()), tally)

    def prune(self, wanted: Collection[str]) -> None:
        self._cache.prune(wanted, clock.now())

    def _version(self, sealed: PlaneVersion, source: ModelSource) -> LoadedVersion:
        identity = (sealed.key, sealed.manifest_digest)
        loaded = self._loaded.get(identity)
        if loaded is None:
            try:
                loaded = _load(sealed, self._cache.folder_of(sealed, source))
            except TilthError as error:
                raise VersionRefused(sealed.key, str(error)) from error
            except Exception as error:  # loading runs a framework on a user's model: it may raise anything
                raise VersionRefused(sealed.key, f"cannot be loaded: {type(error).__name__}: {str(error)[:300]}") from error
            self._loaded[identity] = loaded
        return loaded


def _load(sealed: PlaneVersion, folder: Path) -> LoadedVersion:
    document = _document(sealed, folder)
    loaded = LoadedVersion(sealed, document, load_predictor(folder, document))
    first = _first_rows(folder, loaded)
    for count in WARM_UP_ROWS:
        loaded.listed(loaded.predict(repeated(first, count)))
    return loaded


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
        return msgspec.json.decode((folder / DOCUMENT_NAME).read_bytes(), type=ModelDocument)
    except FileNotFoundError as error:
        raise ArtifactDamaged(f"the folder of {sealed.key} has no {DOCUMENT_NAME}: log the model with tilth.log_model") from error
    except msgspec.DecodeError as error:
        raise ArtifactDamaged(f"{DOCUMENT_NAME} of {sealed.key} cannot be read: {error}") from error


def _routes(wanted: PlaneDeployment, versions: Mapping[str, LoadedVersion]) -> RouteTable[LoadedVersion]:
    unknown = [route.version for route in wanted.routes if route.version not in versions]
    if unknown:
        raise InvalidRoutes(f"a route leads to {unknown[0]}, which is no version of the deployment")
    return RouteTable(wanted.salt, ((route.weight, versions[route.version]) for route in wanted.routes))
