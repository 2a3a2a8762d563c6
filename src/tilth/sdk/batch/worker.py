"""`python -m tilth.sdk.batch.worker`: scores chunks that are told on its input, until that ends. Started by `crews.ProcessCrew`."""

from __future__ import annotations

import os
from typing import BinaryIO

from tilth.core.errors import TilthError
from tilth.sdk.batch.channel import answer, receive, send
from tilth.sdk.batch.scorer import Scorer
from tilth.sdk.batch.work import Chunk, Ready, ScoringWork


def main() -> None:
    # What the model's own code reads and prints must not come between our frames.
    asked, told = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    try:
        _serve(asked, told)
    except BrokenPipeError:
        # Whoever waits for the answers was killed. What is left to be told has nowhere to go, nor has a complaint.
        os._exit(1)


def _serve(asked: BinaryIO, told: BinaryIO) -> None:
    work = receive(asked, ScoringWork)
    if work is None:
        return
    try:
        scorer = Scorer(work)
    except TilthError as error:
        send(told, Ready(kind=error.kind, error=str(error)))
        return
    except Exception as error:  # noqa: BLE001 loading runs a framework on a user's model
        send(told, Ready(kind="invalid", error=f"{work.version} cannot be loaded: {type(error).__name__}: {str(error)[:500]}"))
        return
    send(told, Ready(engine=scorer.engine))
    while (chunk := receive(asked, Chunk)) is not None:
        send(told, answer(scorer, chunk))


if __name__ == "__main__":
    main()
