"""Rollouts from a program: a new version gets a growing share of a deployment's requests."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tilth.core.clock import monotonic
from tilth.core.errors import Invalid, Unavailable
from tilth.core.names import check_slug, slug_of
from tilth.sdk.connection import connection
from tilth.sdk.references import UnknownReference, parse_reference
from tilth.wire.rollouts import Guardrails, RolloutDetail, RolloutView, StartRollout, StepPlan

LOOK_EVERY_S = 1.0


class RolloutStillGoing(Unavailable):
    """The rollout has not ended in the time given."""


class InvalidRollout(Invalid):
    """Arguments that make no rollout."""


class Rollout:
    """One rollout of a deployment; each call asks the server."""

    def __init__(self, deployment: str, view: RolloutView) -> None:
        self.deployment = deployment
        self.id = view.id
        self.candidate = view.candidate
        self.champion = view.champion

    @property
    def url(self) -> str:
        """Of its page."""
        return connection().page("deployments", self.deployment, "rollouts", self.id)

    def status(self) -> RolloutView:
        """How it stands: state, step, reason, evidence."""
        return self.detail().rollout

    def detail(self) -> RolloutDetail:
        """With its verdicts, newest first."""
        return connection().http.call("GET", self._path(), RolloutDetail)

    def wait(self, timeout_s: float = 3600.0) -> RolloutView:
        """Until it ended: state `finished`, `rolled_back` or `cancelled`. Raises RolloutStillGoing."""
        deadline = monotonic() + timeout_s
        while (seen := self.status()).ended is None:
            if monotonic() >= deadline:
                raise RolloutStillGoing(
                    f"the rollout of version {self.candidate} is {seen.state} after {timeout_s:.0f} s ({seen.reason}); wait longer"
                )
            time.sleep(LOOK_EVERY_S)
        return seen

    def pause(self, note: str = "") -> RolloutView:
        return self._change("pause", {"note": note})

    def resume(self, note: str = "") -> RolloutView:
        return self._change("resume", {"note": note})

    def promote(self, *, to_end: bool = False, note: str = "") -> RolloutView:
        """The next step now; to_end: the new version serves all from now on."""
        return self._change("promote", {"to_end": to_end, "note": note})

    def rollback(self, note: str = "") -> RolloutView:
        """The version before serves all again."""
        return self._change("rollback", {"note": note})

    def _change(self, verb: str, body: dict[str, Any]) -> RolloutView:
        return connection().http.call("POST", f"{self._path()}/{verb}", RolloutView, body=body)

    def _path(self) -> str:
        return f"{connection().api}/deployments/{self.deployment}/rollouts/{self.id}"

    def __repr__(self) -> str:
        return f"<Rollout of version {self.candidate} on {self.deployment!r}>"


def rollout(
    model: str,
    name: str | None = None,
    *,
    steps: Sequence[float | tuple[float, float]] = (1, 5, 20, 50, 100),
    bake_s: float = 600.0,
    min_requests: int = 200,
    guardrails: Mapping[str, float | None] | None = None,
    labels: Mapping[str, float] | None = None,
    promote_alias: bool = False,
    note: str = "",
) -> Rollout:
    """Rolls `model` (`flight-delay/4`, `flight-delay@challenger`) out on deployment `name`, by default that of the model's name.

    steps: percent of the requests, or (percent, seconds). bake_s: of the steps that say none. guardrails: limits by name, None for off
    (see tilth.wire.rollouts.Guardrails). labels: by metric, how much worse than before the new version may be.
    Raises InvalidRollout, and what the server refuses.
    """
    reference = parse_reference(model)
    if reference.logged_model_id is not None:
        raise UnknownReference(model)
    called = check_slug(name or slug_of(reference.model), "deployment")
    planned = tuple(StepPlan(*step) if isinstance(step, tuple) else StepPlan(step, bake_s) for step in steps)
    body = StartRollout(
        model=reference.model,
        version=reference.version,
        alias=reference.alias,
        steps=planned,
        min_requests=min_requests,
        guardrails=_guardrails(guardrails or {}, labels or {}),
        promote_alias=promote_alias,
        note=note,
    )
    target = connection()
    return Rollout(called, target.http.call("POST", f"{target.api}/deployments/{called}/rollouts", RolloutView, body=body))


def _guardrails(limits: Mapping[str, float | None], labels: Mapping[str, float]) -> Guardrails:
    wanted = dict(limits) | {"labels": [{"metric": metric, "max_worse": worse} for metric, worse in labels.items()]}
    try:
        return msgspec.convert(wanted, Guardrails)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(Guardrails) if field.name != "labels")
        raise InvalidRollout(f"these guardrails are not understood ({error}); there are: {known}") from None
