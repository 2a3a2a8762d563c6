"""Our errors in MLflow's words: clients look for parts of these texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tilth.core.comparisons import InvalidComparison
from tilth.core.names import InvalidName
from tilth.domains.tracking.types import (
    DefaultExperimentStays,
    ExperimentDeleted,
    ExperimentExists,
    ParamChanged,
    RunDeleted,
    RunIsItsOwnAncestor,
    UnknownExperiment,
    UnknownRun,
)
from tilth.wire.mlflow import MlflowError, invalid


def no_run(run_id: str) -> MlflowError:
    return MlflowError("RESOURCE_DOES_NOT_EXIST", f"Run with id={run_id[:300]} not found")


def no_experiment(number: str) -> MlflowError:
    return MlflowError("RESOURCE_DOES_NOT_EXIST", f"No Experiment with id={number[:100]} exists")


def run_not_active(run_id: str) -> MlflowError:
    return invalid(f"The run {run_id} must be in the 'active' state. Current state is deleted.")


def experiment_not_active(number: str) -> MlflowError:
    return invalid(f"The experiment {number} must be in the 'active' state. Current state is deleted.")


@contextmanager
def batch_words() -> Iterator[None]:
    """Of a batch MLflow tells the params that changed as a list."""
    try:
        yield
    except MlflowError as told:
        error = told.__cause__
        if not isinstance(error, ParamChanged):
            raise
        changed = [{"key": error.key, "old_value": error.old, "new_value": error.new}]
        raise invalid(
            f"Changing param values is not allowed. Params were already logged='{changed}' for run ID='{error.run_id}'."
        ) from error


@contextmanager
def mlflow_words(*, run_id: str = "", experiment: str = "") -> Iterator[None]:
    """Raises MlflowError where our own error has a counterpart there. run_id, experiment: what the request is about."""
    try:
        yield
    except UnknownRun as error:
        raise no_run(run_id) from error
    except RunDeleted as error:
        raise run_not_active(run_id) from error
    except UnknownExperiment as error:
        raise no_experiment(experiment) from error
    except ExperimentDeleted as error:
        raise experiment_not_active(experiment) from error
    except ExperimentExists as error:
        raise MlflowError("RESOURCE_ALREADY_EXISTS", f"Experiment(name={error.name}) already exists.") from error
    except ParamChanged as error:
        raise invalid(
            f"Changing param values is not allowed. Param with key='{error.key}' was already logged with value='{error.old}' "
            f"for run ID='{error.run_id}'. Attempted logging new value '{error.new}'."
        ) from error
    except (DefaultExperimentStays, RunIsItsOwnAncestor, InvalidComparison, InvalidName) as error:
        raise invalid(str(error)) from error
