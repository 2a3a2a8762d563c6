"""Where MLflow's artifact addresses lead: to the files of a run, or to those of a logged model. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tilth.core.names import InvalidName


@dataclass(frozen=True, slots=True)
class RunPlace:
    """path "": the root of the run's artifacts."""

    run_id: str
    path: str


@dataclass(frozen=True, slots=True)
class ModelPlace:
    logged_model_id: str
    path: str


Place = RunPlace | ModelPlace


def place_of(address: str) -> Place:
    """Raises InvalidName for an address above or beside these two."""
    names = address.split("/")
    if names[0].isascii() and names[0].isdecimal():
        if names[1:2] == ["models"] and names[3:4] == ["artifacts"]:
            return ModelPlace(names[2], "/".join(names[4:]))
        if len(names) > 2 and names[1] != "models" and names[2] == "artifacts":
            return RunPlace(names[1], "/".join(names[3:]))
    raise InvalidName(
        f"artifact address {address[:120]!r} leads nowhere: it is <experiment>/<run>/artifacts/<path> or "
        "<experiment>/models/<logged model>/artifacts/<path>"
    )
