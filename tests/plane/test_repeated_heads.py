"""Requests whose head repeats on a connection are taken without being parsed again: they must mean the same as ever."""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Iterator
from io import BufferedReader
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plane.protocol_stand import TOKEN, Stand

LINE = "POST /p/demo/deployments/sums/invocations HTTP/1.1\r\n"
HEAD = f"{LINE}Host: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    made = Stand(tmp_path_factory.mktemp("repeats"))
    yield made
    made.close()


def asked(value: float, *, more: str = "", length: int | None = None) -> bytes:
    body = json.dumps({"instances": [[value, 0, 0, 0]]}).encode()
    size = len(body) if length is None else length
    return f"{HEAD}{more}Content-Length: {size}\r\n\r\n".encode() + body


def read_answer(reader: BufferedReader) -> tuple[int, object]:
    """Status and predictions (or error text); status 0 when the server has closed."""
    line, length = reader.readline(), 0
    if not line:
        return 0, None
    while (header := reader.readline()) != b"\r\n":
        if header.lower().startswith(b"content-length:"):
            length = int(header.split(b":")[1])
    document = json.loads(reader.read(length))
    return int(line.split()[1]), document.get("predictions", document.get("message"))


def exchange(stand: Stand, pieces: list[bytes], count: int) -> list[tuple[int, object]]:
    """Sends all pieces, then reads `count` answers on the same connection."""
    with socket.create_connection(("127.0.0.1", stand.port), timeout=20) as connection, connection.makefile("rb") as reader:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        return [read_answer(reader) for _ in range(count)]


def one_by_one(stand: Stand, requests: list[bytes]) -> list[tuple[int, object]]:
    """Each request is sent when the one before is answered: as clients do whose heads repeat."""
    answers = []
    with socket.create_connection(("127.0.0.1", stand.port), timeout=20) as connection, connection.makefile("rb") as reader:
        for request in requests:
            connection.sendall(request)
            answers.append(read_answer(reader))
    return answers


def test_bodies_of_other_lengths_under_the_same_head_are_answered_each(stand: Stand) -> None:
    values = [1, 22, 333.5, 4, 1e-9, 55555]
    assert one_by_one(stand, [asked(value) for value in values]) == [(200, [100.0 + value]) for value in values]


def test_a_bad_body_between_good_ones_is_refused_alone(stand: Stand) -> None:
    bad = f"{HEAD}Content-Length: 3\r\n\r\n{{a}}".encode()
    statuses = [status for status, _ in one_by_one(stand, [asked(1), asked(2), bad, asked(3)])]
    assert statuses == [200, 200, 400, 200]


def test_headers_that_change_between_requests_count(stand: Stand) -> None:
    late = asked(2, more="X-Timeout-Ms: soon\r\n")
    (first, _), (second, message), (third, _) = one_by_one(stand, [asked(1), late, asked(3)])
    assert (first, second, third) == (200, 400, 200)
    assert "x-timeout-ms" in str(message)


def test_a_token_that_is_revoked_is_refused_though_the_head_is_known(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    try:
        with socket.create_connection(("127.0.0.1", stand.port), timeout=20) as connection, connection.makefile("rb") as reader:
            for _ in range(2):
                connection.sendall(asked(1))
                assert read_answer(reader)[0] == 200
            stand.core.state = dataclasses.replace(stand.core.state, tokens={})
            connection.sendall(asked(1))
            assert read_answer(reader)[0] == 401
    finally:
        stand.close()


def test_a_body_above_the_bound_is_refused_though_the_head_is_known(stand: Stand) -> None:
    huge = b" " * 300_001
    request = f"{HEAD}Content-Length: {len(huge)}\r\n\r\n".encode() + huge
    assert [status for status, _ in exchange(stand, [asked(1), asked(2), request], 3)] == [200, 200, 413]


def test_a_length_that_lies_does_not_move_the_border_of_the_next_request(stand: Stand) -> None:
    """Shorter than what follows: the rest is read as the next request, and is none."""
    liar = asked(3, length=5)
    answers = exchange(stand, [asked(1), asked(2), liar], 4)
    assert [status for status, _ in answers] == [200, 200, 400, 400]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=6), st.lists(st.integers(0, 2000), max_size=8))
def test_answers_do_not_depend_on_how_the_bytes_arrive(stand: Stand, values: list[int], cuts: list[int]) -> None:
    stream = b"".join(asked(value) for value in values)
    places = sorted({0, *(cut % len(stream) for cut in cuts), len(stream)})
    pieces = [stream[start:end] for start, end in pairwise(places)]
    assert exchange(stand, pieces, len(values)) == [(200, [100.0 + value]) for value in values]
