"""How long one waits for the first sign of life: `import tilth`, `tilth --help`, and `tilth up` until it is ready.

Beside it the same of mlflow: `import mlflow`, `mlflow --help`, and `mlflow server --workers 1` until /health answers. Ours and the
peer's turns alternate; a first turn of each warms the machine's file cache and is not counted. "again": on a home that was used before.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from time import perf_counter

from benchmarks.clients import median
from benchmarks.figures import Figure, run_script
from benchmarks.processes import Peer, Tilth, environment, folder, mlflow_server, program, tilth_up

PEER = "mlflow 3.17.2"


def measure(quick: bool) -> list[Figure]:
    passes = 1 if quick else 7
    with folder() as place:
        imports = beside([sys.executable, "-c", "import tilth"], [sys.executable, "-c", "import mlflow"], passes)
        python_ms = timed([sys.executable, "-c", "pass"])
        helps = beside([program("tilth"), "--help"], [program("mlflow"), "--help"], passes)
        first, again, peer_first, peer_again = ready(place, 1 if quick else 3)
    return [
        Figure(
            "import tilth (process of its own)",
            "ms",
            imports[0],
            200,
            "import mlflow",
            imports[1],
            note=f"python: {python_ms:.0f}",
        ),
        Figure("tilth --help", "ms", helps[0], 400, "mlflow --help", helps[1]),
        Figure("tilth up to ready, again", "s", again, 3, f"{PEER} server", peer_again),
        Figure("tilth up to ready, new home", "s", first, None, f"{PEER} server", peer_first),
    ]


def beside(ours: Sequence[str], peer: Sequence[str], passes: int) -> tuple[float, float]:
    """Median ms of both commands, in turns, after one turn each that does not count."""
    timed(ours), timed(peer)
    turns = [(timed(ours), timed(peer)) for _ in range(passes)]
    return median([turn[0] for turn in turns]), median([turn[1] for turn in turns])


def timed(command: Sequence[str]) -> float:
    begun = perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment(), timeout=120)
    return (perf_counter() - begun) * 1e3


def ready(place: Path, passes: int) -> tuple[float, float, float, float]:
    """Median seconds: ours on a new home, ours again, the peer's first, the peer's again."""
    first, again, peer_first, peer_again = [], [], [], []
    _seconds(tilth_up(place / "warm"))
    for number in range(passes):
        ours, theirs = place / f"home-{number}", place / f"mlflow-{number}"
        theirs.mkdir()
        first.append(_seconds(tilth_up(ours)))
        peer_first.append(_seconds(mlflow_server(theirs, "--workers", "1")))
        again.append(_seconds(tilth_up(ours)))
        peer_again.append(_seconds(mlflow_server(theirs, "--workers", "1")))
    return median(first), median(again), median(peer_first), median(peer_again)


def _seconds(starting: AbstractContextManager[Tilth] | AbstractContextManager[Peer]) -> float:
    with starting as started:
        return started.started_s


if __name__ == "__main__":
    sys.exit(run_script("startup", __doc__ or "", measure))
