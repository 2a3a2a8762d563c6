"""What the shipper says to the control process and asks of it. The standard library's client, one connection for each request."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from tilth.core.errors import KINDS, NotFound, TilthError
from tilth.plane.fetching import ControlUnreachable
from tilth.wire.errors import ErrorBody
from tilth.wire.models import DOCUMENT_NAME
from tilth.wire.plane import STATE_PATH, TOKEN_PATH, PlaneState
from tilth.wire.shipping import (
    Compacted,
    Compaction,
    PlaneShadows,
    Shipment,
    ShipmentAnswer,
    ShippedScores,
    ShippedVersion,
)

T = TypeVar("T")

TIMEOUT_S = 60.0
BASE = "/api/v1/plane/predictions"


class Control:
    """home: that of the model servers, whose state says where control answers and whose token opens its door. Blocking."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def url(self) -> str:
        """Raises ControlUnreachable while no state was ever published."""
        try:
            return msgspec.json.decode((self._home / STATE_PATH).read_bytes(), type=PlaneState).control_url
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ControlUnreachable(f"{self._home / STATE_PATH} cannot be read yet: {error}") from error

    def version(self, deployment_id: str, key: str) -> ShippedVersion | None:
        """None: nobody knows it any more. Raises ControlUnreachable."""
        where = f"/api/v1/plane/deployments/{quote(deployment_id, safe='')}/versions?{urlencode({'key': key})}"
        try:
            return self._json("GET", where, ShippedVersion)
        except NotFound:
            return None

    def document(self, logged_model_id: str) -> bytes:
        """`tilth.json` of a model; none where it is gone. Raises ControlUnreachable."""
        try:
            return self._send("GET", f"/api/v1/plane/models/{quote(logged_model_id, safe='')}/files/{DOCUMENT_NAME}")
        except NotFound:
            return b""

    def shadows(self) -> PlaneShadows:
        """Versions that shall answer in the shadow."""
        return self._json("GET", "/api/v1/plane/shadows", PlaneShadows)

    def upload(self, content: bytes) -> str:
        """Its digest."""
        digest = hashlib.sha256(content).hexdigest()
        self._send("PUT", f"{BASE}/bytes/{digest}", content, "application/octet-stream")
        return digest

    def ship(self, shipment: Shipment) -> ShipmentAnswer:
        return self._json("POST", f"{BASE}/shipments", ShipmentAnswer, shipment)

    def keep_scores(self, scores: ShippedScores) -> None:
        self._send("POST", f"{BASE}/scores", msgspec.json.encode(scores), "application/json")

    def compaction(self) -> Compaction:
        return self._json("GET", f"{BASE}/compaction", Compaction)

    def download(self, file_id: str) -> bytes:
        return self._send("GET", f"{BASE}/files/{quote(file_id, safe='')}")

    def replace(self, compacted: Compacted) -> None:
        self._send("POST", f"{BASE}/compacted", msgspec.json.encode(compacted), "application/json")

    def _json(self, method: str, path: str, answer: Callable[..., T], body: Any = None) -> T:
        content = None if body is None else msgspec.json.encode(body)
        found: T = msgspec.json.decode(self._send(method, path, content, "application/json"), type=answer)
        return found

    def _send(self, method: str, path: str, content: bytes | None = None, content_type: str = "") -> bytes:
        url = urlsplit(self.url())
        where = f"{url.netloc}{url.path.rstrip('/')}{path}"
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connection = kind(url.hostname or "", url.port, timeout=TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self._token()}"} | ({"Content-Type": content_type} if content is not None else {})
        try:
            connection.request(method, url.path.rstrip("/") + path, content, headers)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ControlUnreachable(
                f"cannot reach {where}: {error or type(error).__name__}; is the control process up?"
            ) from error
        finally:
            connection.close()
        if response.status >= 300:
            raise _refused(response.status, body, where)
        return body

    def _token(self) -> str:
        try:
            return (self._home / TOKEN_PATH).read_text().strip()
        except OSError as error:
            raise ControlUnreachable(f"the workers' token {TOKEN_PATH} cannot be read: {error.strerror}") from error


def _refused(status: int, body: bytes, where: str) -> TilthError:
    """The error that control raised; ControlUnreachable for what another try may mend."""
    try:
        detail = msgspec.json.decode(body, type=ErrorBody).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ControlUnreachable(f"the control process answered {status} to {where}; see its log")
    # A plain 500 is what this very request broke: the same again would break the same again.
    if status > 500 or status in (401, 403, 429):
        return ControlUnreachable(f"the control process answered {status} to {where}: {detail.message}")
    return KINDS.get(detail.kind, TilthError)(detail.message)
