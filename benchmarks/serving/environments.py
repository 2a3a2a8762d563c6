"""An environment of its own for each peer: their dependencies exclude one another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.processes import NotStarted

FOLDER = Path(__file__).parents[2] / ".venv-peers"
SKLEARN = "scikit-learn==1.9.1"
PACKAGES: dict[str, tuple[str, ...]] = {
    # mlserver 1.7.1 does not start its inference pool with uvloop 0.22.
    "mlserver": ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop<0.22"),
    "kserve": ("kserve==0.21.0",),
    "bentoml": ("bentoml==1.4.39",),
    "litserve": ("litserve==0.2.19",),
    "ray": ("ray[serve]==2.60.0",),
    "fastapi": ("fastapi==0.165.0", "uvicorn==0.54.0", "uvloop", "httptools", "orjson"),
}


def python_of(name: str) -> Path:
    """The Python of the peer's environment, which is made where it is missing. Raises NotStarted where that fails."""
    place = FOLDER / name
    python = place / "bin" / "python"
    finished = place / "finished"
    if not finished.exists():
        print(f"installing {', '.join(PACKAGES[name])} ...", file=sys.stderr, flush=True)
        uv = str(Path(sys.executable).parent / "uv")
        _run([uv, "venv", "--quiet", "--clear", "--python", f"{sys.version_info.major}.{sys.version_info.minor}", str(place)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), SKLEARN, *PACKAGES[name]])
        finished.write_text("\n".join(PACKAGES[name]))
    return python


def _run(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise NotStarted(f"{' '.join(command[:3])} failed: {ended.stderr.strip()[-300:]}")
