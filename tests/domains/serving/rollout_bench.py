"""Short ways for tests of rollouts: model servers that say what a test wants, and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tilth.core.actors import Actor
from tilth.core.clock import Millis, now
from tilth.core.ids import ProjectId
from tilth.domains.serving import actions as deployments
from tilth.domains.serving import queries
from tilth.domains.serving.actions import rollouts as actions
from tilth.domains.serving.queries import rollout_pages, rollouts
from tilth.wire.plane import LATENCY_BOUNDS_US, DeploymentStatus, VersionTally, WorkerStatus
from tilth.wire.rollouts import Guardrails, RolloutDetail, StartRollout, StepPlan
from tilth.wire.scores import score_bucket

ANNA = Actor(id="anna", name="Anna", kind="user", via="token:t1")
LIKE_BEFORE = {score_bucket(value / 100): 10 for value in range(10, 60)}
"""Scores of a model that says 0.1 to 0.6, each as often."""
ALWAYS_THE_SAME = {score_bucket(0.2): 500}


def latencies(ms: float, requests: int) -> tuple[int, ...]:
    """All requests answered within one bucket."""
    bucket = next(place for place, bound in enumerate(LATENCY_BOUNDS_US) if bound >= ms * 1000)
    return (*[0] * bucket, requests)


def tally(version: int, requests: int = 500, *, errors: int = 0, ms: float = 2.0, **more: Any) -> VersionTally:
    """What a worker counted of version `version` of model m."""
    scores = more.pop("scores", LIKE_BEFORE if requests else {})
    return VersionTally(
        f"m/{version}", requests, requests, errors, latency_buckets=latencies(ms, requests), scores=scores, **more
    )


@dataclass
class Rollouts:
    """Deployment `d` of model m on a database; `moment` is the present."""

    db: Any
    project: ProjectId
    moment: int = field(default_factory=lambda: int(now()))
    started: int = 1

    def do(self, action: Any, *args: Any, **kwargs: Any) -> Any:
        return self.db.write_blocking(lambda tx: action(tx, ANNA, self.project, *args, **kwargs))

    @property
    def deployment(self) -> Any:
        return self.db.read_blocking(lambda tx: queries.deployment_by_name(tx, self.project, "d"))

    def split(self) -> list[tuple[int, int]]:
        return [(route.version, route.weight) for route in self.deployment.routes]

    def workers(self, *tallies: VersionTally, acknowledged: int | None = None, error: str = "", **who: Any) -> list[WorkerStatus]:
        """One model server that has taken up the present generation, or refuses it where there is an error."""
        found = self.deployment
        generation = found.generation if acknowledged is None else acknowledged
        status = DeploymentStatus(
            found.id,
            generation - 1 if error else generation,
            failed_generation=generation if error else 0,
            error=error,
            tallies=tallies,
        )
        return [WorkerStatus(who.get("name", "w0"), 1, who.get("started", self.started), self.moment, 1, (status,))]

    def start(self, version: int = 2, percents: tuple[float, ...] = (5, 50, 100), *, bake_s: float = 0, **more: Any) -> Any:
        workers = more.pop("workers", None)
        wanted = StartRollout(
            version=version,
            steps=tuple(StepPlan(percent, bake_s) for percent in percents),
            min_requests=more.pop("min_requests", 100),
            guardrails=more.pop("guardrails", Guardrails()),
            **more,
        )
        made = self.do(actions.start, "d", wanted, self.workers() if workers is None else workers)
        self.moment = max(self.moment, int(now()))
        return made

    def judge(self, *tallies: VersionTally, after_ms: int = 2000, **status: Any) -> Any:
        """The verdict when the model servers have counted these."""
        self.moment += after_ms
        workers = status["workers"] if "workers" in status else self.workers(*tallies, **status)

        def look(tx: Any) -> Any:
            (going,) = [each for each in rollouts.rollouts_under_way_across_projects(tx) if each.project_id == self.project]
            return actions.judge(tx, going, workers, Millis(self.moment))

        return self.db.write_blocking(look)

    def detail(self, which: str = "latest") -> RolloutDetail:
        return self.db.read_blocking(lambda tx: rollout_pages.rollout_detail(tx, self.project, "d", which))

    def kinds(self) -> list[str]:
        """Of the verdicts, oldest first."""
        return [verdict.kind for verdict in reversed(self.detail().verdicts)]


def deployed(db: Any, project: ProjectId, register: Mapping[str, Any] | Any) -> Rollouts:
    """Versions 1 to 3 of m, version 1 deployed as `d`. register(seed) makes the next version."""
    for seed in "abc":
        register(seed)
    made = Rollouts(db, project)
    made.do(deployments.deploy, "d", model="m", version=1)
    return made
