"""`python -m tilth.sdk.importing.child FOLDER`: opens one foreign model in a process of its own.

It has no credentials and dies with its parent; it is no sandbox: what runs here runs as the user who said that he trusts it. In FOLDER
lie `request.json` and, where there is one, the pickled example; `result.json` tells how it ended.
"""

from __future__ import annotations

import ctypes
import pickle
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from tilth.core.errors import TilthError
from tilth.sdk.importing.formats import found_at
from tilth.sdk.importing.preparing import prepare

PR_SET_PDEATHSIG = 1
REQUEST, EXAMPLE, RESULT, MODEL = "request.json", "example.pkl", "result.json", "model"


class Request(msgspec.Struct):
    path: str
    format: str
    categories: dict[str, list[str]] | None = None


class Result(msgspec.Struct):
    """problem: why there is no model, empty when there is."""

    problem: str


def main(folder: Path) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    request = msgspec.json.decode((folder / REQUEST).read_bytes(), type=Request)
    try:
        prepare(found_at(Path(request.path), request.format), folder / MODEL, _example(folder), categories=request.categories)
    except TilthError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 the model's own code runs here: it may raise anything
        problem = f"it raised {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    else:
        problem = ""
    (folder / RESULT).write_bytes(msgspec.json.encode(Result(problem)))


def _example(folder: Path) -> Any:
    """What our parent wrote: the one pickle that is trusted here without saying so."""
    path = folder / EXAMPLE
    return pickle.loads(path.read_bytes()) if path.exists() else None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
