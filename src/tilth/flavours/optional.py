"""Frameworks that need not be installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tilth.flavours.port import EngineUnusable


def imported(module: str, package: str) -> Any:
    """The module. package: what pip installs it by. Raises EngineUnusable, which names the package."""
    try:
        return import_module(module)
    except ImportError as error:
        raise EngineUnusable(
            f"the model needs {module}, which cannot be imported here ({error}); pip install {package}"
        ) from error


def is_of(model: object, package: str) -> bool:
    """Whether a class of the model comes from `package`. Imports nothing."""
    return any(kind.__module__.partition(".")[0] == package for kind in type(model).__mro__)
