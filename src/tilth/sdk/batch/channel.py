"""Between the one who waits and those who score: messages on a pipe, and what an answer is."""

from __future__ import annotations

import struct
from typing import BinaryIO, TypeVar

import msgspec

from tilth.core.errors import TilthError
from tilth.sdk.batch.errors import BadRows
from tilth.sdk.batch.scorer import Scorer
from tilth.sdk.batch.work import Answer, Chunk

LENGTH = struct.Struct("<I")
BAD_ROWS = "bad_rows"
T = TypeVar("T")


def send(stream: BinaryIO, value: object) -> None:
    data = msgspec.msgpack.encode(value)
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO, kind: type[T]) -> T | None:
    """None once the other side has gone."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    data = stream.read(length)
    return msgspec.msgpack.decode(data, type=kind) if len(data) == length else None


def answer(scorer: Scorer, chunk: Chunk) -> Answer:
    try:
        return Answer(chunk, part=scorer.score(chunk))
    except BadRows as bad:
        return Answer(chunk, kind=BAD_ROWS, error=str(bad))
    except TilthError as error:
        return Answer(chunk, kind=error.kind, error=str(error))
    except OSError as error:
        return Answer(
            chunk, kind="unavailable", error=f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
        )
    except MemoryError:
        return Answer(
            chunk, kind="out_of_space", error="there is not enough memory for a chunk; score with a smaller --batch-rows"
        )
    except Exception as error:  # noqa: BLE001 a user's model ran: whatever it did must reach the user in words
        return Answer(chunk, kind="error", error=f"{chunk.file}: {type(error).__name__}: {str(error)[:500]}")
