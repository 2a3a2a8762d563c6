"""KServe v1, which is TensorFlow Serving's, and the contract of Vertex AI: `{"instances": [...]}`. Pure."""

from __future__ import annotations

from typing import Any

from tilth.core.errors import TilthError
from tilth.plane.answers import Answer, HeaderPairs, error_only
from tilth.plane.forms import Form, InvalidBody, decode_json, kind_of
from tilth.plane.protocols.port import LARGE_BYTES, Asked, Content
from tilth.plane.protocols.predicted import read_predictions, write_predictions
from tilth.wire.signature import Signature


class V1:
    name = "v1"
    compresses = False
    write = staticmethod(write_predictions)

    def check(self, content_type: bytes) -> None:
        """The body is always JSON, whatever clients call it."""

    def heavy(self, content: Content, size: int) -> bool:
        return size > LARGE_BYTES

    def read(self, body: bytes, content: Content, signature: Signature) -> Asked:
        document = decode_json(body)
        if type(document) is not dict:
            raise InvalidBody(f'the body must be a JSON object such as {{"instances": [[...], ...]}}, not {kind_of(document)}')
        forms = [form for form in ("instances", "inputs") if form in document]
        if len(forms) != 1:
            raise InvalidBody('the body must hold "instances" (or "inputs"), and one of them only')
        return Asked(Form(forms[0], document[forms[0]]))

    def read_answer(self, body: bytes, header_bytes: int) -> Any:
        return read_predictions(body)

    def refuse(self, error: TilthError, headers: HeaderPairs = ()) -> Answer:
        return error_only(error, headers)
