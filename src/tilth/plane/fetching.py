"""Where model bytes come from: the control process, over HTTP. The standard library's client: it costs no memory and runs in a thread."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

from tilth.core.errors import Unavailable
from tilth.core.hashing import CHUNK_BYTES

TIMEOUT_S = 30.0


class ControlUnreachable(Unavailable):
    """The control process did not hand out a model file. Tried again later; what was served before serves on."""


class ModelSource:
    """control_url as in the PlaneState; token_path holds the workers' credential, read for each fetch since it may be renewed."""

    def __init__(self, control_url: str, token_path: Path) -> None:
        self._url = urlsplit(control_url)
        self._token_path = token_path

    def pieces(self, logged_model_id: str, path: str) -> Iterator[bytes]:
        """The bytes of one file, unverified, up to 1 MiB at a time. Raises ControlUnreachable."""
        target = f"{self._url.path.rstrip('/')}/api/v1/plane/models/{quote(logged_model_id, safe='')}/files/{quote(path)}"
        where = f"{self._url.netloc}{target}"
        connection = self._connection()
        try:
            connection.request("GET", target, headers={"Authorization": f"Bearer {self._token()}"})
            response = connection.getresponse()
            if response.status != 200:
                raise ControlUnreachable(f"the control process answered {response.status} to GET {where}; see its log")
            while piece := response.read(CHUNK_BYTES):
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise ControlUnreachable(
                f"cannot fetch {where}: {error or type(error).__name__}; is the control process up?"
            ) from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host = self._url.hostname or ""
        if self._url.scheme == "https":
            return http.client.HTTPSConnection(host, self._url.port, timeout=TIMEOUT_S)
        return http.client.HTTPConnection(host, self._url.port, timeout=TIMEOUT_S)

    def _token(self) -> str:
        try:
            return self._token_path.read_text().strip()
        except OSError as error:
            raise ControlUnreachable(f"the workers' token {self._token_path.name} cannot be read: {error.strerror}") from error
