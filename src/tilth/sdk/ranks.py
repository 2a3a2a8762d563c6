"""One run made by many processes: who is which, and how they agree on the run."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tilth.core.clock import monotonic
from tilth.core.errors import Invalid, Unavailable

RENDEZVOUS_VARIABLE = "TILTH_RENDEZVOUS"
WAIT_S = 300.0
POLL_S = 0.05
LAUNCH_S = 30.0
"""Ranks of one launch start within so many seconds: rank 0 may have made its run, and even ended it, before another one looks."""

_VARIABLES = (
    ("RANK", "WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
)
_LAUNCH = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT")


class InvalidRank(Invalid):
    """Rank and world size do not fit together."""


class NoFirstRank(Unavailable):
    """Rank 0 has not said which run it made."""

    def __init__(self, rank: int, place: Path) -> None:
        super().__init__(
            f"rank {rank} has waited {WAIT_S:.0f} s for rank 0 to start its run (looking at {place}); let rank 0 call tilth.run(), too, "
            f"give all ranks one TILTH_RUN_ID, or name a folder that all of them see by {RENDEZVOUS_VARIABLE}"
        )


@dataclass(frozen=True, slots=True)
class Rank:
    """Process `rank` of `world` ones, counted from 0."""

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        return self.world < 2

    @property
    def prefix(self) -> str:
        """Before the names of what this rank writes; nothing for the first."""
        return "" if self.is_first else f"rank{self.rank}/"


ALONE = Rank()


def find_rank(environ: Mapping[str, str], given: int | None = None) -> Rank:
    """What torchrun, MPI or SLURM say in the environment; `given` goes before. Raises InvalidRank."""
    for rank_name, world_name in _VARIABLES:
        rank, world = environ.get(rank_name, ""), environ.get(world_name, "")
        if rank.isdigit() and world.isdigit() and int(world) > 1:
            found = Rank(int(rank) if given is None else given, int(world))
            if not 0 <= found.rank < found.world:
                raise InvalidRank(f"rank {found.rank} is not one of {found.world} ({world_name}); count ranks from 0")
            return found
    if given is not None:
        if given < 0:
            raise InvalidRank(f"rank {given} is below 0; count ranks from 0")
        return Rank(given, max(2, given + 1))
    return ALONE


def meeting_place(environ: Mapping[str, str], number: int, parent_pid: int) -> Path:
    """File in which rank 0 leaves the id of run `number` of this program.

    Its name is of this launch alone: what the launcher says of it, and, without a job id, the process that started the ranks.
    """
    folder = environ.get(RENDEZVOUS_VARIABLE)
    root = Path(folder) if folder else Path(tempfile.gettempdir()) / f"tilth-ranks-{os.getuid()}"
    launch = {name: environ[name] for name in _LAUNCH if environ.get(name, "none") != "none"}
    master = [environ.get("MASTER_ADDR", ""), environ.get("MASTER_PORT", ""), environ.get("WORLD_SIZE", "")]
    is_job = "SLURM_JOB_ID" in launch or "TORCHELASTIC_RUN_ID" in launch
    key = json.dumps([launch, master, None if is_job else parent_pid], sort_keys=True)
    return root / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}-{number}"


def tell(place: Path, run_id: str) -> None:
    """Rank 0 made this run."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = place.with_suffix(f".{os.getpid()}")
    fresh.write_text(run_id)
    fresh.rename(place)


def wait_for(place: Path, rank: int, wait_s: float = WAIT_S) -> str:
    """The id that rank 0 left; what an earlier launch left before this process began does not count. Raises NoFirstRank."""
    deadline = monotonic() + wait_s
    began_s = psutil.Process().create_time()
    while monotonic() < deadline:
        with suppress(FileNotFoundError):
            left = place.stat()
            # The folder lies where everybody may write: what another user left says nothing.
            if left.st_uid == os.getuid() and left.st_mtime > began_s - LAUNCH_S:
                return place.read_text()
        time.sleep(POLL_S)
    raise NoFirstRank(rank, place)
