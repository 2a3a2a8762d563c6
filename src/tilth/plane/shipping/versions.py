"""By what the frames of a version are read: its signature, and what of its predictions is kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from tilth.plane.protocols.reading import FrameReader
from tilth.plane.shipping.control import Control
from tilth.plane.shipping.layout import Layout, layout_of
from tilth.wire.models import DOCUMENT_NAME, ModelDocument
from tilth.wire.plane import CACHE_FOLDER
from tilth.wire.shipping import ShippedVersion
from tilth.wire.signature import Signature


@dataclass(frozen=True)
class KnownVersion:
    """signature None: the model's document is gone, so that its frames cannot be read."""

    facts: ShippedVersion
    signature: Signature | None

    @cached_property
    def reader(self) -> FrameReader | None:
        """Raises UnsuitableSignature."""
        return FrameReader(self.signature) if self.signature is not None else None

    @cached_property
    def layout(self) -> Layout:
        return layout_of(self.signature, self.facts.policy)

    @cached_property
    def bare_layout(self) -> Layout:
        """Of rows whose values cannot be read."""
        return layout_of(None, self.facts.policy)


class Versions:
    """Asks control once for each shipment; documents never change, and are remembered for good."""

    def __init__(self, home: Path, control: Control) -> None:
        self._home = home
        self._control = control
        self._known: dict[tuple[str, str], KnownVersion | None] = {}
        self._signatures: dict[str, Signature | None] = {}

    def forget(self) -> None:
        """To be called once the segments of a shipment are closed: what is asked from then on was said after each of their predictions, so
        that none is kept by a policy that was changed before it was answered."""
        self._known.clear()

    def find(self, deployment_id: str, key: str) -> KnownVersion | None:
        """None: the deployment or the version is gone, with everything that its frames could belong to. Raises ControlUnreachable."""
        place = (deployment_id, key)
        if place not in self._known:
            facts = self._control.version(deployment_id, key)
            self._known[place] = KnownVersion(facts, self._signature(facts)) if facts is not None else None
        return self._known[place]

    def _signature(self, facts: ShippedVersion) -> Signature | None:
        if facts.manifest_digest not in self._signatures:
            content = self._document(facts)
            try:
                document = msgspec.json.decode(content, type=ModelDocument) if content else None
            except msgspec.DecodeError:
                document = None
            self._signatures[facts.manifest_digest] = document.signature if document else None
        return self._signatures[facts.manifest_digest]

    def _document(self, facts: ShippedVersion) -> bytes:
        """Bytes of `tilth.json`, from the workers' cache or from control; none where it is gone."""
        try:
            return (self._home / CACHE_FOLDER / facts.manifest_digest / DOCUMENT_NAME).read_bytes()
        except OSError:
            return self._control.document(facts.logged_model_id)
