"""A prediction that somebody asks for on a page: control passes it on to a model server, as any client would, with a token of its own.

The pages' origin is not the model servers', which refuse browsers from elsewhere; and a person on a page need not make a token first.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import quote

import httpx
import msgspec

from tilth.backends.sealing import Sealer
from tilth.core.clock import DAY, Clock, monotonic
from tilth.core.errors import Unavailable
from tilth.wire.plane import PlaneToken

TIMEOUT_S = 20.0
MAX_ANSWER_BYTES = 10_000_000
SYSTEM_ID = "trial"


class ModelServerAway(Unavailable):
    """No model server took the request, or none answered in time."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came back: status and body as they are, facts from the headers (empty where absent), and the time that the asking took."""

    status: int
    body: bytes
    prediction_id: str
    version: str
    engine: str
    took_ms: float

    @property
    def ok(self) -> bool:
        return self.status == 200


class TrialDesk:
    """Asks deployments of the model servers at `serve_url`. Its token changes daily and never leaves this process."""

    def __init__(self, serve_url: str, sealer: Sealer, clock: Clock) -> None:
        self._serve_url = serve_url
        self._sealer = sealer
        self._clock = clock
        # One for all: making a client costs more than a prediction.
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    def tokens(self, project_ids: Collection[str]) -> tuple[PlaneToken, ...]:
        """What the model servers must accept: today's token, and tomorrow's, so that midnight finds it known everywhere."""
        today, projects = self._today(), tuple(sorted(project_ids))
        if not projects:
            return ()
        return tuple(
            PlaneToken(hashlib.sha256(self._secret(day).encode()).hexdigest(), SYSTEM_ID, projects, (day + 1) * DAY)
            for day in (today, today + 1)
        )

    async def ask(self, project: str, deployment: str, body: bytes, request_id: str) -> Trial:
        """body: a request in MLflow's JSON form. Raises ModelServerAway; what the model server refuses is an answer."""
        return await self._post(project, deployment, "invocations", body, request_id)

    async def explain(self, project: str, deployment: str, version: int, body: bytes, request_id: str) -> Trial:
        """What each input added to the answer of a version that the deployment serves. Otherwise as `ask`."""
        return await self._post(project, deployment, f"versions/{version}/explain", body, request_id)

    async def _post(self, project: str, deployment: str, verb: str, body: bytes, request_id: str) -> Trial:
        address = f"{self._serve_url}/p/{quote(project, safe='')}/deployments/{quote(deployment, safe='')}/{verb}"
        headers = {
            "authorization": f"Bearer {self._secret(self._today())}",
            "content-type": "application/json",
            "x-request-id": request_id,
        }
        begun = monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._client.post(address, content=body, headers=headers)
        except (httpx.HTTPError, TimeoutError) as error:
            raise ModelServerAway(
                f"the model server at {self._serve_url} gave no answer ({str(error) or type(error).__name__}); "
                "`tilth status` and `tilth doctor` say what runs"
            ) from error
        return Trial(
            answer.status_code,
            answer.content[:MAX_ANSWER_BYTES],
            answer.headers.get("x-prediction-id", ""),
            answer.headers.get("x-model-version", ""),
            answer.headers.get("x-tilth-engine", ""),
            (monotonic() - begun) * 1e3,
        )

    def _today(self) -> int:
        return self._clock() // DAY

    def _secret(self, day: int) -> str:
        return f"tilth_trial_{self._sealer.sign(str(day), 'trial of a deployment')}"


def message_of(body: bytes) -> str:
    """Why the model server refused, from the body of its answer."""
    try:
        return str(msgspec.json.decode(body)["message"])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return body[:500].decode(errors="replace") or "the model server gave no reason"
