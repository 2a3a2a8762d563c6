"""Open Inference Protocol v2: `infer` with JSON and binary tensors, as Triton's clients send them by default. Pure.

With binary tensors the header `Inference-Header-Content-Length` says where the JSON ends; their bytes follow in the tensors' order.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tilth.core.errors import Invalid, TilthError
from tilth.plane.answers import Answer, HeaderPairs, error_only
from tilth.plane.columns import listed
from tilth.plane.forms import InvalidBody
from tilth.plane.protocols.datatypes import (
    Array,
    InvalidTensor,
    check_head,
    datatype_of,
    from_json,
    from_raw,
    to_json,
    to_raw,
)
from tilth.plane.protocols.port import LARGE_BYTES, Answered, Asked, Content, Wish, Written
from tilth.plane.tensors import Tensors
from tilth.wire.signature import Signature

BINARY = b"application/octet-stream"


class UnknownOutput(Invalid):
    """The request asks for an output that the model does not give."""


class _Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] | None = None
    data: Any = None


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] | None = None


class _Request(msgspec.Struct):
    inputs: list[_Tensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_Output] | None = None


class _Response(msgspec.Struct):
    outputs: list[_Tensor]


_requests = msgspec.json.Decoder(_Request)
_responses = msgspec.json.Decoder(_Response)


class V2:
    name = "v2"
    compresses = True

    def check(self, content_type: bytes) -> None:
        """Clients send all sorts of types; what the body is stands in the headers of the protocol."""

    def heavy(self, content: Content, size: int) -> bool:
        # Binary tensors are only copied.
        return (size if content.header_bytes is None else content.header_bytes) > LARGE_BYTES

    def read(self, body: bytes, content: Content, signature: Signature) -> Asked:
        header, binary = _parts(body, content.header_bytes)
        request = _decoded(header)
        arrays = _arrays(request.inputs, binary)
        return Asked(Tensors(arrays), _wish(request, signature), request.id or "")

    def write(self, answered: Answered) -> Written:
        wish = answered.wish
        arrays = answered.outputs.by_name(answered.results)  # type: ignore[arg-type]
        wanted = wish.outputs if wish.outputs is not None else tuple((name, wish.binary) for name in arrays)
        tensors, raw = [], []
        for name, binary in wanted:
            tensor: dict[str, Any] = {"name": name, "datatype": datatype_of(arrays[name]), "shape": arrays[name].shape}
            if binary:
                raw.append(to_raw(arrays[name]))
                tensor["parameters"] = {"binary_data_size": len(raw[-1])}
            else:
                tensor["data"] = _listed(name, arrays[name])
            tensors.append(tensor)
        header = msgspec.json.encode(
            {
                "model_name": answered.deployment,
                "model_version": answered.version,
                "id": answered.prediction_id if wish.id is None else wish.id,
                "parameters": {"prediction_id": answered.prediction_id},
                "outputs": tensors,
            }
        )
        if not raw:
            return Written(header)
        return Written(b"".join((header, *raw)), BINARY, len(header))

    def read_answer(self, body: bytes, header_bytes: int) -> Tensors:
        header, binary = _parts(body, header_bytes or None)
        return Tensors(_arrays(_responses.decode(header).outputs, binary))

    def refuse(self, error: TilthError, headers: HeaderPairs = ()) -> Answer:
        return error_only(error, headers)


def _parts(body: bytes, header_bytes: int | None) -> tuple[memoryview, memoryview]:
    """The JSON, and the binary tensors after it."""
    view = memoryview(body)
    if header_bytes is None:
        return view, view[len(view) :]
    if header_bytes > len(view):
        raise InvalidBody(
            f"Inference-Header-Content-Length says {header_bytes} bytes of JSON, the body has {len(view)}; send the length of the JSON"
        )
    return view[:header_bytes], view[header_bytes:]


def _decoded(header: memoryview) -> _Request:
    try:
        return _requests.decode(header)
    except RecursionError as error:
        raise InvalidBody("the JSON is nested too deeply") from error
    except msgspec.ValidationError as error:
        raise InvalidBody(f"this is no request of the v2 protocol: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = ""
        if b"NaN" in bytes(header) or b"Infinity" in bytes(header):
            hint = "; NaN and Infinity are not JSON, send null or binary tensors"
        elif b"\x00" in bytes(header):
            hint = "; with binary tensors the header Inference-Header-Content-Length must say where the JSON ends"
        raise InvalidBody(f"the JSON cannot be read: {error}{hint}") from error


def _arrays(tensors: list[_Tensor], binary: memoryview) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    at = 0
    for tensor in tensors:
        if tensor.name in arrays:
            raise InvalidTensor(f"tensor {tensor.name[:80]!r} is given twice; give each once")
        check_head(tensor.name, tensor.datatype, tensor.shape)
        size = (tensor.parameters or {}).get("binary_data_size")
        if size is None:
            arrays[tensor.name] = from_json(tensor.name, tensor.datatype, tensor.shape, tensor.data)
            continue
        _check_size(tensor, size, len(binary) - at)
        arrays[tensor.name] = from_raw(tensor.name, tensor.datatype, tensor.shape, binary[at : at + size])
        at += size
    if at != len(binary):
        raise InvalidTensor(f"{len(binary)} bytes follow the JSON, its tensors take {at}: see binary_data_size of each")
    _check_rows(arrays)
    return arrays


def _check_size(tensor: _Tensor, size: Any, left: int) -> None:
    if type(size) is not int or size < 0:
        raise InvalidTensor(f"tensor {tensor.name!r}: binary_data_size must be a whole number of bytes, not {str(size)[:20]!r}")
    if tensor.data is not None:
        raise InvalidTensor(f"tensor {tensor.name!r} has both 'data' and binary_data_size; send one of them")
    if size > left:
        raise InvalidTensor(f"tensor {tensor.name!r} says {size} bytes, and {left} are left after the JSON")


def _check_rows(arrays: dict[str, Array]) -> None:
    for name, array in arrays.items():
        if not array.ndim:
            raise InvalidTensor(f"tensor {name!r} has the shape []; its first axis is the rows")


def _wish(request: _Request, signature: Signature) -> Wish:
    everything = (request.parameters or {}).get("binary_data_output") is True
    if not request.outputs:
        return Wish(request.id, None, everything)
    names = [given.name for given in signature.output_tensors or signature.outputs]
    wanted = []
    for output in request.outputs:
        if output.name not in names:
            raise UnknownOutput(f"output {output.name[:80]!r} is unknown; the model gives {listed(names)}")
        parameters = output.parameters or {}
        if parameters.get("classification"):
            raise UnknownOutput(f"output {output.name!r}: the classification extension is not there; ask for the output itself")
        wanted.append((output.name, parameters.get("binary_data", everything) is True))
    if len({name for name, _ in wanted}) < len(wanted):
        raise UnknownOutput("an output is asked for twice; name each once")
    return Wish(request.id, tuple(wanted), everything)


def _listed(name: str, array: Array) -> list[Any]:
    try:
        return to_json(array)
    except UnicodeDecodeError as error:
        raise InvalidTensor(f"output {name!r} holds bytes that are no text; ask for it with binary_data") from error
