"""The CLI's way to a server: JSON over HTTP, errors as the kinds that the server raised."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from tilth.core.errors import KINDS, Denied, Invalid, NotFound, TilthError, Unauthenticated, Unavailable
from tilth.core.home import Target
from tilth.core.tls import CERTIFICATE_VARIABLE, believed
from tilth.wire.errors import ErrorBody

API = "/api/v1"
PAGE_ROWS = 200


class NotReached(Unavailable):
    """No answer came: nothing listens there, or the connection broke."""


class NotTilth(Invalid):
    """Something answered that does not speak like a Tilth server."""


class Api:
    """One server and one project. Closes its connections as a context manager. timeout_s: for each request."""

    def __init__(self, target: Target, timeout_s: float = 60.0) -> None:
        self.target = target
        headers = {"accept": "application/json"} | ({"authorization": f"Bearer {target.token}"} if target.token else {})
        # A proxy from the environment could not reach this machine's own loopback.
        local = urlsplit(target.url).hostname in ("127.0.0.1", "localhost", "::1")
        verify = believed(target.url, os.environ)
        self._client = httpx.Client(base_url=target.url, headers=headers, timeout=timeout_s, trust_env=not local, verify=verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def call(
        self, method: str, path: str, body: Any = None, *, params: Mapping[str, Any] | None = None, timeout_s: float | None = None
    ) -> Any:
        """The decoded answer, None if it is empty. Raises the server's kind of error, NotReached, NotTilth."""
        given = {key: value for key, value in (params or {}).items() if value is not None}
        timeout = httpx.USE_CLIENT_DEFAULT if timeout_s is None else timeout_s
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"content-type": "application/json"}
        try:
            answer = self._client.request(method, path, content=content, headers=headers, params=given, timeout=timeout)
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            raise NotReached(self._why_not_reached(error)) from error
        if not answer.is_success:
            raise error_of(answer.status_code, answer.content, self.target.url)
        if not answer.content:
            return None
        try:
            return msgspec.json.decode(answer.content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotTilth(f"{self.target.url} answered with something else than JSON; is it a Tilth server?") from error

    def put(self, path: str, pieces: Iterable[bytes], timeout_s: float = 600.0) -> None:
        """Sends a file piece by piece. Raises as `call`; an error of `pieces` comes out as it is."""
        headers = {"content-type": "application/octet-stream"}
        try:
            answer = self._client.put(path, content=iter(pieces), headers=headers, timeout=timeout_s)
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            raise NotReached(self._why_not_reached(error)) from error
        if not answer.is_success:
            raise error_of(answer.status_code, answer.content, self.target.url)

    def upload(self, path: str, data: bytes) -> Any:
        """PUT of raw bytes. Raises as `call`."""
        try:
            answer = self._client.put(path, content=data, headers={"content-type": "application/octet-stream"})
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            raise NotReached(self._why_not_reached(error)) from error
        if not answer.is_success:
            raise error_of(answer.status_code, answer.content, self.target.url)
        return msgspec.json.decode(answer.content) if answer.content else None

    def pieces(self, path: str) -> Iterator[bytes]:
        """A file, piece by piece. Raises as `call`."""
        try:
            with self._client.stream("GET", path, headers={"accept-encoding": "identity"}) as answer:
                if not answer.is_success:
                    raise error_of(answer.status_code, answer.read(), self.target.url)
                yield from answer.iter_bytes(1 << 20)
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            raise NotReached(self._why_not_reached(error)) from error

    def get(self, path: str, **params: Any) -> Any:
        return self.call("GET", path, params=params)

    def text(self, path: str) -> str:
        """The body of an answer as it is. Raises what `call` raises."""
        try:
            answer = self._client.get(path)
        except (httpx.HTTPError, ssl.SSLError) as error:
            raise NotReached(self._why_not_reached(error)) from error
        if not answer.is_success:
            raise error_of(answer.status_code, answer.content, self.target.url)
        return answer.text

    def in_project(self, *segments: str) -> str:
        """Path below the project; each segment is quoted once."""
        return f"{API}/p/" + "/".join(quote(segment, safe="") for segment in (self.target.project, *segments))

    def rows(self, path: str, key: str, limit: int, **params: Any) -> Iterator[dict[str, Any]]:
        """At most `limit` rows of a list answer, page after page: by `next_page_token`, or by offset where only a total is told."""
        place: dict[str, Any] = {}
        fetched = 0
        while fetched < limit:
            answer = self.get(path, limit=min(limit - fetched, PAGE_ROWS), **place, **params)
            rows = answer[key]
            yield from rows[: limit - fetched]
            fetched += len(rows)
            if answer.get("next_page_token"):
                place = {"page_token": answer["next_page_token"]}
            elif rows and "next_page_token" not in answer and fetched < answer["total"]:
                place = {"offset": fetched}
            else:
                return

    def _why_not_reached(self, error: Exception) -> str:
        home = self.target.home
        what_next = (
            f"start it with `tilth up --home {home}`, or look at `tilth logs`" if home else "check the address and the network"
        )
        if isinstance(error, httpx.TimeoutException):
            return f"{self.target.url} did not answer in time; try again, or look at `tilth status`"
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return (
                f"{self.target.url} shows a certificate that nobody here vouches for ({error}); if it is your own, set "
                f"{CERTIFICATE_VARIABLE} to the file with it or with its authority"
            )
        return f"cannot reach a Tilth server at {self.target.url} ({error}); {what_next}"


def error_of(status: int, content: bytes, url: str) -> TilthError:
    """The error that an answer stands for, as the kind that the server raised."""
    try:
        detail = msgspec.json.decode(content, type=ErrorBody).error
        return KINDS.get(detail.kind, TilthError)(detail.message)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        text = content[:200].decode(errors="replace").strip()
    kind = {401: Unauthenticated, 403: Denied, 404: NotFound}.get(status, Unavailable if status >= 500 else NotTilth)
    return kind(f"{url} answered {status}{f': {text}' if text else ''}")
