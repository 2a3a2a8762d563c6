"""Imported before anything that imports numpy: one thread per numeric library, unless the environment says otherwise.

The libraries read it when they are loaded. With more threads than free cores their spinning makes gradient boosting stall for half a
second now and then.
"""

from __future__ import annotations

import os

for _library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")
