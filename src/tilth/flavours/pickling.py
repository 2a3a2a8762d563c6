"""Models that only pickle can hold: written so that another process can read them."""

from __future__ import annotations

import pickletools
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from tilth.flavours.port import EngineUnusable

INSTALLED = tuple(
    Path(place).resolve()
    for name, place in sysconfig.get_paths().items()
    if name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def dumped(model: Any) -> bytes:
    """The model as cloudpickle. What the user's own modules define goes in as a whole: model servers cannot import them."""
    import cloudpickle

    with _own_modules_by_value(cloudpickle):
        data: bytes = cloudpickle.dumps(model)
    return data


def packages_in(data: bytes) -> dict[str, str]:
    """Installed packages that the pickle names, with their versions. Reads, and runs nothing."""
    distributions = metadata.packages_distributions()
    names = {
        part.partition(".")[0]
        for _, argument, _ in pickletools.genops(data)
        if isinstance(argument, str)
        for part in argument.split(" ")[:1]
    }
    found = sorted({package for name in names & set(distributions) for package in distributions[name]})
    return {package: metadata.version(package) for package in found}


def loaded(path: Path) -> Any:
    """Runs code from the file: never in the control process. Raises EngineUnusable where a package is missing."""
    try:
        import cloudpickle

        with path.open("rb") as stream:
            return cloudpickle.load(stream)
    except ImportError as error:
        raise EngineUnusable(
            f"the model needs {error.name or error}, which is not installed here; install what requirements.txt in the model's folder names"
        ) from error


@contextmanager
def _own_modules_by_value(cloudpickle: Any) -> Iterator[None]:
    known = cloudpickle.list_registry_pickle_by_value()
    added = [module for name, module in list(sys.modules.items()) if name not in known and _is_own(name, module)]
    for module in added:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in added:
            cloudpickle.unregister_pickle_by_value(module)


def _is_own(name: str, module: ModuleType | None) -> bool:
    """Whether it is neither installed, nor Python's, nor ours."""
    file = getattr(module, "__file__", None)
    if (
        name == "__main__"
        or name.partition(".")[0] == "tilth"
        or not isinstance(file, str)
        or getattr(module, "__name__", "") != name
    ):
        return False
    place = Path(file).resolve()
    return not any(place.is_relative_to(folder) for folder in INSTALLED) and "site-packages" not in place.parts
