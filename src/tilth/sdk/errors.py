"""What the SDK itself refuses. Errors of the server arrive as the kinds of `tilth.core.errors`."""

from __future__ import annotations

from tilth.core.errors import Conflict, Invalid, TilthError, Unavailable
from tilth.core.version import VERSION


class NoServerAnswers(Unavailable):
    """The address is known, but nothing answers there."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no Tilth server answers at {url} ({reason}); start one with `tilth up`, or look with `tilth status`")


class OtherVersion(TilthError):
    """The server answered, in a form that this program does not know."""

    def __init__(self, url: str, theirs: str, reason: str) -> None:
        known = f"version {theirs}" if theirs else "of a version that it does not tell"
        same = f"tilth=={theirs}" if theirs else "tilth"
        super().__init__(
            f"this program has Tilth {VERSION}, and what answers at {url} is {known}; they do not understand each other ({reason}). "
            f"Give both the same version, such as by `pip install {same}`, or check TILTH_URL if no Tilth server should be there"
        )


class NoServerKnown(Unavailable):
    """Something needs a server, and the program knows of none."""

    def __init__(self) -> None:
        super().__init__("no Tilth server is known here, so this cannot be done now; start one with `tilth up`, or set TILTH_URL")


class NoCurrentRun(Conflict):
    def __init__(self, what: str) -> None:
        super().__init__(f"tilth.{what} needs a current run; write `with tilth.run() as run:` around it")


class RunStillOpen(Conflict):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"run {name!r} is still open; end it with run.finish(), or start a run within it by tilth.run(nested=True)"
        )


class RunHasEnded(Conflict):
    def __init__(self, name: str, run_id: str) -> None:
        super().__init__(f"run {name!r} has ended; go on with it by tilth.run(resume={run_id!r})")


class InvalidLog(Invalid):
    """A metric, param or tag is not what it should be."""


class UnknownData(Invalid):
    """No digest can be taken of this kind of object."""


class NotEverythingSent(Unavailable):
    """Values were still in memory when time was up: not sent, and not in the journal."""

    def __init__(self, left: int, reason: str) -> None:
        super().__init__(
            f"{left} logged values could not be sent in time ({reason}); they wait in memory, and are lost if the program ends now. "
            "Give it longer by TILTH_FLUSH_TIMEOUT_S"
        )
