"""What a protocol of predictions is: from the body of a request to what the model is given, and from its results to a body. Pure."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from tilth.core.errors import TilthError
from tilth.plane.answers import Answer, HeaderPairs
from tilth.plane.forms import Form, Table
from tilth.plane.inputs import Results
from tilth.plane.outputs import AnyOutputs
from tilth.plane.tensors import Tensors
from tilth.wire.signature import Signature

JSON = b"application/json"

Given = Form | Table | Tensors
"""What a request gave, before the signature says what it means."""


LARGE_BYTES = 128 << 10
"""A body above is read and predicted aside."""


class Content(msgspec.Struct, frozen=True):
    """What the head says of the body. header_bytes: of the JSON before binary tensors; None if the head does not say."""

    type: str = "application/json"
    header_bytes: int | None = None


class Wish(msgspec.Struct, frozen=True):
    """How the answer shall look, as v2 lets a caller say.

    id: of the request, even an empty one; None if it has none. outputs: name and whether its data shall be binary; None for all.
    binary: the same for outputs that nobody named.
    """

    id: str | None = None
    outputs: tuple[tuple[str, bool], ...] | None = None
    binary: bool = False


NO_WISH = Wish()


class Asked(msgspec.Struct, frozen=True):
    """id: the caller's own, empty if there is none."""

    given: Given
    wish: Wish = NO_WISH
    id: str = ""


class Answered(msgspec.Struct, frozen=True):
    """What the codec writes down. deployment: what the protocols call a model."""

    prediction_id: str
    deployment: str
    model: str
    version: str
    outputs: AnyOutputs
    results: Results
    wish: Wish


class Written(msgspec.Struct, frozen=True):
    """header_bytes: of the JSON before binary tensors, 0 without any."""

    body: bytes
    content_type: bytes = JSON
    header_bytes: int = 0


class Codec(Protocol):
    """One protocol. `name` stands in the prediction log and finds the codec again."""

    name: str
    compresses: bool
    """Whether an answer is compressed for a client that asks for nothing but that."""

    def check(self, content_type: bytes) -> None:
        """Before the body is read. Raises UnsupportedMediaType."""
        ...

    def heavy(self, content: Content, size: int) -> bool:
        """Whether reading a body of `size` bytes keeps the interpreter for longer than neighbours can wait: see plane.bodies."""
        ...

    def read(self, body: bytes, content: Content, signature: Signature) -> Asked:
        """Raises kinds of Invalid."""
        ...

    def write(self, answered: Answered) -> Written:
        """Raises ValueError for results that the protocol cannot carry, and Invalid for a wish that these results cannot fulfil."""
        ...

    def read_answer(self, body: bytes, header_bytes: int) -> Any:
        """What `write` wrote: `predictions` as JSON has them, or Tensors."""
        ...

    def refuse(self, error: TilthError, headers: HeaderPairs = ()) -> Answer:
        """The error in the protocol's own shape."""
        ...
