"""What Jupyter tells of itself: whether it is there, the notebook's name, the cells that ran. No dependency: IPython is there.

IPython is looked for among the loaded modules, never imported: outside a notebook nothing of this costs anything.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NAME = "code/notebook.ipynb"


def shell() -> Any:
    """IPython's shell if it drives a kernel, else None."""
    ipython = sys.modules.get("IPython")
    found = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return found if found is not None and hasattr(found, "kernel") else None


def notebook_name() -> str:
    """What Jupyter says of the file, else `notebook`."""
    said = os.environ.get("JPY_SESSION_NAME") or (getattr(shell(), "user_ns", None) or {}).get("__session__") or ""
    return Path(str(said)).name or "notebook"


def snapshot(cells: Sequence[str], python: str) -> bytes:
    """A notebook (nbformat 4.5) of the cells in the order in which they ran, without outputs."""
    shown = [
        {"cell_type": "code", "id": f"cell-{number}", "execution_count": number, "metadata": {}, "outputs": [], "source": source}
        for number, source in enumerate(cells, start=1)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python", "version": python}}
    return json.dumps({"cells": shown, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}, indent=1).encode()


def executed_cells() -> list[str]:
    """Source of every cell of this session, the one under way included."""
    found = shell()
    return [str(cell) for cell in found.user_ns.get("In", [])[1:]] if found is not None else []
