"""Versions and deployments as a worker serves them: built aside, then never changed."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tilth.flavours.explaining import Reasons, reasons_of
from tilth.flavours.port import ArrayPredictor, CannotExplain, Explainer, Predictor
from tilth.plane.arrays import encoder_of
from tilth.plane.inputs import Inputs, Results, count_of
from tilth.plane.lane import Lane
from tilth.plane.latency import Tally
from tilth.plane.outputs import outputs_of
from tilth.plane.problems import UnsuitableSignature
from tilth.plane.residence import Resident
from tilth.plane.routing import RouteTable
from tilth.wire.models import ModelDocument
from tilth.wire.plane import PlaneDeployment, PlaneVersion

_UNPRINTABLE = re.compile(r"[^ -~]")


class LoadedVersion:
    """A verified, warmed model version, ready to predict.

    inline: whether it predicts on the event loop, as what is fast does; else it does so in its lane, as large requests always do.
    resident: of a lazy version, which may be away. explains: makes what gives reasons for its answers.
    strikes: how often in a row a prediction on the event loop took too long. remark: why it runs otherwise than its deployment says.
    turn: held by whoever has a model of this process at work, since it need not stand two threads at once.
    """

    __slots__ = (
        "__weakref__",
        "_explainer",
        "_predictor",
        "_run",
        "digest",
        "encoder",
        "engine",
        "engine_header",
        "explains",
        "inline",
        "key",
        "lane",
        "model",
        "named",
        "outputs",
        "platform",
        "remark",
        "resident",
        "signature",
        "strikes",
        "turn",
        "version",
    )

    def __init__(
        self,
        sealed: PlaneVersion,
        document: ModelDocument,
        predictor: Predictor | ArrayPredictor,
        lane: Lane[Any] | None = None,
    ) -> None:
        self.key = sealed.key
        self.digest = sealed.manifest_digest
        self.model = sealed.model
        self.version = str(sealed.version)
        # It is told in a header of every answer, and a process of a model can call itself what it likes.
        self.engine = _UNPRINTABLE.sub("?", predictor.engine)
        self.engine_header = self.engine.encode()
        self.lane = lane or Lane()
        self.inline = True
        self.strikes = 0
        self.remark = ""
        self.turn = threading.RLock()
        self.resident: Resident | None = None
        self.platform = document.flavour
        self.signature = document.signature
        self.encoder = encoder_of(document.signature)
        self.outputs = outputs_of(document.signature)
        self.named = isinstance(predictor, ArrayPredictor)
        if self.named != document.signature.named:
            wanted = ("one table of numbers", "arrays by name")[document.signature.named]
            raise UnsuitableSignature(f"the signature says that the model takes {wanted}, and it does not: log it again")
        self.explains: Callable[[Predictor], Explainer] | None = None
        self._explainer: Explainer | None = None
        self._predictor = predictor
        self._run = _run_of(predictor)

    def become_lazy(self, predictor: Predictor | ArrayPredictor, resident: Resident) -> None:
        """From now on through `resident`, which may be away."""
        self._predictor = predictor
        self._run = _run_of(predictor)
        self.resident = resident

    def predict(self, inputs: Inputs) -> Results:
        """A result per row. Raises whatever the model raises, and ValueError if it gives what its signature does not say."""
        count = count_of(inputs)
        if not count:
            return self.outputs.empty()
        if self.lane.pool is not None:
            return self.outputs.checked(self._run(inputs), count)
        with self.turn:
            return self.outputs.checked(self._run(inputs), count)

    def explain(self, rows: Any) -> Reasons:
        """rows: encoded. What explains is loaded at the first call, so call it in the lane's. Raises CannotExplain and EngineUnusable."""
        if isinstance(self._predictor, ArrayPredictor) or self.explains is None:
            raise CannotExplain(f"version {self.key} takes text or tensors and so gives no reasons")
        if self._explainer is None:
            self._explainer = self.explains(self._predictor)
        with self.turn:
            return reasons_of(self._explainer, rows)

    def listed(self, outputs: Results) -> Any:
        """The results as they stand in JSON."""
        return self.outputs.listed(outputs)  # type: ignore[arg-type]


def _run_of(predictor: Predictor | ArrayPredictor) -> Callable[[Any], Any]:
    return predictor.predict_arrays if isinstance(predictor, ArrayPredictor) else predictor.predict


@dataclass(frozen=True, slots=True)
class ServedDeployment:
    """One deployment at one generation, all its versions loaded."""

    spec: PlaneDeployment
    routes: RouteTable[LoadedVersion]
    versions: tuple[LoadedVersion, ...]
    tally: Tally


@dataclass(frozen=True, slots=True)
class Place:
    """What stands at an address: the wanted deployment and, once it is there, what serves for it (maybe an older generation)."""

    wanted: PlaneDeployment
    served: ServedDeployment | None
    failure: str

    @property
    def current(self) -> bool:
        return self.served is not None and self.served.spec.generation == self.wanted.generation
