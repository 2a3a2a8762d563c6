"""HTTP to the Tilth server: structs in, structs out, errors as the kinds that the server raised."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from tilth.core.clock import monotonic
from tilth.core.errors import KINDS, TilthError, Unavailable
from tilth.core.tls import believed
from tilth.sdk.errors import NoServerAnswers, NoServerKnown, OtherVersion
from tilth.wire.errors import ErrorBody

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 60.0
RETRY_S = 3.0
LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))

Content = bytes | Callable[[], Iterable[bytes]] | None
"""A function gives the pieces anew for each attempt."""


class ServerBroke(Unavailable):
    """The server answered with an error of its own making."""


class Http:
    """One server. Threads share it; a forked child gets connections of its own."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client: httpx.Client | None = None
        self._pid = 0
        self._lock = threading.Lock()

    def call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: object = None,
        query: Mapping[str, Any] | None = None,
        retry_for_s: float = RETRY_S,
    ) -> T:
        """Sends `body` as JSON, reads the answer as `answer`. Only calls that may be repeated may be retried."""
        content = None if body is None else msgspec.json.encode(body)
        response = self.send(method, path, content, query=query, retry_for_s=retry_for_s)
        return self.read(response, answer)

    def read(self, response: httpx.Response, answer: type[T]) -> T:
        """Raises OtherVersion."""
        try:
            return msgspec.json.decode(response.content, type=answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise OtherVersion(self.url, self._version(), str(error)) from error

    def _version(self) -> str:
        """What the server calls itself, empty where it does not say."""
        try:
            return str(msgspec.json.decode(self.send_once("GET", "/api/v1/health").content, type=dict[str, str])["version"])
        except (TilthError, msgspec.DecodeError, UnicodeDecodeError, KeyError):
            return ""

    def send(
        self,
        method: str,
        path: str,
        content: Content = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        retry_for_s: float = RETRY_S,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> httpx.Response:
        """Tries again with back-off while the server is away or busy, for at most `retry_for_s` seconds. Raises TilthError."""
        deadline, pause = monotonic() + retry_for_s, 0.1
        while True:
            try:
                return self.send_once(method, path, content, query=query, headers=headers, timeout_s=timeout_s)
            except NoServerKnown:
                raise
            except Unavailable:
                if monotonic() + pause > deadline:
                    raise
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(5.0, pause * 2)

    def send_once(
        self,
        method: str,
        path: str,
        content: Content = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> httpx.Response:
        if not self.url:
            raise NoServerKnown
        kind = {"content-type": "application/json"} if isinstance(content, bytes) else {}
        pieces = content() if callable(content) else content
        timeout = httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        try:
            response = self._connected().request(
                method, path, content=pieces, params=query, headers={**kind, **(headers or {})}, timeout=timeout
            )
        except httpx.TransportError as error:
            raise NoServerAnswers(self.url, str(error) or type(error).__name__) from error
        if response.is_error:
            raise error_of(response.status_code, response.content)
        return response

    def download(self, path: str, into: Callable[[bytes], object]) -> None:
        """Streams the answer's body into `into`, piece by piece."""
        try:
            with self._connected().stream("GET", path, headers={"accept-encoding": "identity"}) as response:
                if response.is_error:
                    raise error_of(response.status_code, response.read())
                for piece in response.iter_bytes(1 << 20):
                    into(piece)
        except httpx.TransportError as error:
            raise NoServerAnswers(self.url, str(error) or type(error).__name__) from error

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None and self._pid == os.getpid():
            client.close()

    def __del__(self) -> None:
        self.close()

    def _connected(self) -> httpx.Client:
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                # A proxy of the environment is not meant for this machine itself.
                outside = urlsplit(self.url).hostname not in LOOPBACK
                self._client = httpx.Client(
                    base_url=self.url,
                    headers=self._headers,
                    timeout=ANSWER_TIMEOUT_S,
                    trust_env=outside,
                    verify=believed(self.url, os.environ),
                    follow_redirects=False,
                )
                self._pid = os.getpid()
            return self._client


def error_of(status: int, content: bytes) -> TilthError:
    """The error that the server raised, as the same kind."""
    try:
        detail = msgspec.json.decode(content, type=ErrorBody).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        text = content[:200].decode(errors="replace")
        return ServerBroke(f"the server answered {status} without saying why: {text}")
    if status >= 500 and detail.kind not in KINDS:
        return ServerBroke(detail.message)
    return KINDS.get(detail.kind, TilthError)(detail.message)
