"""Settings of a deployment in words, and one by one."""

from __future__ import annotations

from typing import Any

import pytest

from tilth.domains.serving.rules.running import how_it_runs
from tilth.domains.serving.rules.settings import InvalidDeploymentSettings, changed
from tilth.wire.plane import PlaneRuntime
from tilth.wire.serving import DeploymentSettings


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ["in the model servers"]),
        ({"load": "lazy"}, ["loaded by its first request"]),
        ({"memory_mb": 2000}, ["in a process of its own for each model server", "up to 2,000 MB each"]),
        ({"max_processes": 4, "threads": 2}, ["in 1 to 4 processes for each model server", "2 threads each"]),
        (
            {"environment": "model"},
            ["in a process of its own for each model server", "in an environment built from the model's requirements"],
        ),
        ({"python": "/opt/p"}, ["in a process of its own for each model server", "in /opt/p"]),
    ],
)
def test_where_a_deployment_runs_is_told_in_words(changes: dict[str, Any], words: list[str]) -> None:
    assert how_it_runs(changed(DeploymentSettings(), changes)) == words


@pytest.mark.parametrize(
    "changes",
    [{"process": True}, {"environment": "model"}, {"python": "/p"}, {"memory_mb": 1}, {"threads": 2}, {"max_processes": 2}],
)
def test_what_only_a_process_can_have_means_a_process(changes: dict[str, Any]) -> None:
    assert PlaneRuntime(**changes).apart
    assert not PlaneRuntime(load="lazy", predict_timeout_s=1.0).apart


def test_a_word_that_a_setting_does_not_know_is_told_with_those_it_does() -> None:
    with pytest.raises(InvalidDeploymentSettings, match="log_sync is 'ech'; it is one of: interval, each"):
        changed(DeploymentSettings(), {"log_sync": "ech"})
