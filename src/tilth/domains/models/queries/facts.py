"""What the run behind a model tells: its experiment, and the facts for the card."""

from __future__ import annotations

from tilth.backends.sql import Tx
from tilth.domains.models.rules.card import DataFact, RunFacts
from tilth.domains.tracking import queries as tracking
from tilth.domains.tracking.queries.hot import head_to_write
from tilth.domains.tracking.types import UnknownExperiment, UnknownRun
from tilth.wire.tracking import Environment

SYSTEM_METRICS = "system/"
"""Resource use of the run: no quality of the model."""


def experiment_for(tx: Tx, project_id: str, run_id: str | None, experiment_id: str | None) -> str | None:
    """The experiment that a logged model belongs to: the named one, else that of its run. Raises UnknownRun, UnknownExperiment."""
    if experiment_id is not None and tracking.experiment_row(tx, project_id, id=experiment_id) is None:
        raise UnknownExperiment(experiment_id)
    if run_id is None:
        return experiment_id
    head = head_to_write(tx, project_id, run_id)
    if head is None:
        raise UnknownRun(run_id)
    return experiment_id or str(head.experiment_id)


def run_facts(tx: Tx, project_id: str, run_id: str | None) -> RunFacts | None:
    """None when the model was logged outside a run, or its run is gone."""
    detail = tracking.run_detail(tx, project_id, run_id) if run_id is not None else None
    if detail is None:
        return None
    return RunFacts(
        id=detail.run.id,
        name=detail.run.name,
        params=detail.params,
        metrics={metric.key: float(metric.value) for metric in detail.metrics if not metric.key.startswith(SYSTEM_METRICS)},
        code=_code(detail.environment),
        environment=_environment(detail.environment),
        data=[DataFact(each.name, each.digest, each.context, each.source, each.profile) for each in detail.inputs],
    )


def _code(environment: Environment | None) -> dict[str, str]:
    if environment is None:
        return {}
    known = {"Entry point": environment.entry_point, "Arguments": " ".join(environment.argv[1:])}
    if environment.git is not None:
        state = "with uncommitted changes, kept as code/diff.patch of the run" if environment.git.dirty else "clean"
        known |= {
            "Commit": f"{environment.git.commit} ({state})" if environment.git.commit else "",
            "Branch": environment.git.branch,
            "Remote": environment.git.remote,
        }
    return {name: value for name, value in known.items() if value}


def _environment(environment: Environment | None) -> dict[str, str]:
    if environment is None:
        return {}
    known = {
        "Python": environment.python,
        "Platform": environment.platform,
        "Machine": f"{environment.cpu_count} CPUs, {environment.memory_mb:,} MiB" if environment.cpu_count else "",
        "GPUs": ", ".join(environment.gpus),
    }
    return {name: value for name, value in known.items() if value}
