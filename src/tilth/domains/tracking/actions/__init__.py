"""What can be done with experiments, runs and artifacts. Plain functions in a transaction that the edge opens and commits.

What a run writes about itself (metrics, params, tags, data sets, artifacts, heartbeats) leaves no audit row; what people change does.
"""

from tilth.domains.tracking.actions.artifacts import add_artifact, check_writable, delete_artifact
from tilth.domains.tracking.actions.experiments import (
    create_default_experiment,
    create_experiment,
    delete_experiment,
    remove_experiment_tag,
    restore_experiment,
    update_experiment,
)
from tilth.domains.tracking.actions.runs import (
    create_run,
    delete_run,
    heartbeat,
    link_models,
    log,
    mark_lost,
    remove_tag,
    restore_run,
    update_run,
)
from tilth.domains.tracking.actions.sweeps import stop_sweep

__all__ = [
    "add_artifact",
    "check_writable",
    "create_default_experiment",
    "create_experiment",
    "create_run",
    "delete_artifact",
    "delete_experiment",
    "delete_run",
    "heartbeat",
    "link_models",
    "log",
    "mark_lost",
    "remove_experiment_tag",
    "remove_tag",
    "restore_experiment",
    "restore_run",
    "stop_sweep",
    "update_experiment",
    "update_run",
]
