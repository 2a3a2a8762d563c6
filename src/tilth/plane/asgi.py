"""The same Core behind any ASGI server, for places that bring their own (Ray Serve, a cloud's container)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tilth.core.errors import TilthError
from tilth.plane.admission import HEADERS, Admission, Inquiry
from tilth.plane.answers import Answer, BodyTooLarge, Malformed
from tilth.plane.batching import Core

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


def application(core: Core) -> Application:
    """Answers scopes of type `http`; whoever made the core also runs its follower."""

    async def answer_scope(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"the model server answers HTTP only, not {scope['type']!r}")
        headers = {name: value for name, value in scope["headers"] if name in HEADERS}
        query = scope.get("query_string", b"")
        target = scope["raw_path"] + (b"?" + query if query else b"")
        verdict = core.admit(scope["method"], target, headers)
        answer = verdict if isinstance(verdict, Answer) else await _predicted(core, verdict, receive)
        head = [(b"content-type", answer.content_type), (b"content-length", b"%d" % len(answer.body)), *answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": head})
        await send({"type": "http.response.body", "body": answer.body})

    return answer_scope


async def _predicted(core: Core, slip: Admission | Inquiry, receive: Receive) -> Answer:
    try:
        body = await _body(receive, slip.max_body_bytes)
    except TilthError as error:
        return slip.codec.refuse(error)
    answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    core.submit(slip, body, lambda given: None if answer.cancelled() else answer.set_result(given))
    return await answer


async def _body(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Malformed("the client left before its request was whole")
        body += message.get("body", b"")
        if len(body) > limit:
            raise BodyTooLarge(
                f"the body is above {limit} bytes, the bound of this deployment; send the rows in several requests"
            )
        if not message.get("more_body", False):
            return bytes(body)
