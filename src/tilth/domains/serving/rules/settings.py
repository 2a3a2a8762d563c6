"""Changes of a deployment's settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from tilth.core.errors import Invalid
from tilth.wire.serving import DeploymentSettings


class InvalidDeploymentSettings(Invalid):
    """Settings of a deployment that do not exist, are out of bounds, or do not fit together."""


def changed(before: DeploymentSettings, changes: Mapping[str, Any]) -> DeploymentSettings:
    """What is not among `changes` stays as it was. changes: as they stand in JSON. Raises InvalidDeploymentSettings."""
    for name in changes:
        if name not in DeploymentSettings.__struct_fields__:
            near = get_close_matches(name, DeploymentSettings.__struct_fields__, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InvalidDeploymentSettings(f"a deployment has no setting {name[:80]!r}{hint}")
    try:
        after = msgspec.convert({**msgspec.to_builtins(before), **changes}, DeploymentSettings)
    except msgspec.ValidationError as error:
        raise InvalidDeploymentSettings(f"settings of a deployment: {_choices(changes) or error}") from error
    if after.min_processes > after.max_processes:
        raise InvalidDeploymentSettings(
            f"min_processes is {after.min_processes}, above max_processes, which is {after.max_processes}"
        )
    if after.python and not after.python.startswith("/"):
        raise InvalidDeploymentSettings(f"python is {after.python!r}; give the absolute path of an interpreter")
    if after.python and after.environment == "model":
        raise InvalidDeploymentSettings(
            "python names an interpreter and environment 'model' asks for one to be built; choose one of them"
        )
    return after


def _choices(changes: Mapping[str, Any]) -> str:
    """What a setting of few words may be, where another word was given; empty where that is not the fault."""
    kinds = get_type_hints(DeploymentSettings)
    for name, value in changes.items():
        words = get_args(kinds[name]) if get_origin(kinds[name]) is Literal else ()
        if words and value not in words:
            return f"{name} is {str(value)[:40]!r}; it is one of: {', '.join(words)}"
    return ""
