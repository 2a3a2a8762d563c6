"""The model server on the wire: raw bytes in, raw bytes out."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

PATH = b"/p/demo/deployments/sums/invocations"
HEAD = b"Host: x\r\nAuthorization: Bearer tilth_test_token\r\nContent-Type: application/json\r\n"

Connect = Callable[[], socket.socket]


def request(value: int, *, more: bytes = b"") -> bytes:
    body = b'{"instances": [[%d, 0]]}' % value
    return b"POST %b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (PATH, HEAD, more, len(body), body)


def chunked(value: int, size: int) -> bytes:
    body = b'{"instances": [[%d, 0]]}' % value
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"POST %b HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n%b0\r\nX-Trailer: y\r\n\r\n" % (PATH, HEAD, chunks)


def read_all(connection: socket.socket) -> bytes:
    """Until the server closes; a reset counts as a close, since some requests are answered before they were read."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def read_answers(connection: socket.socket, count: int) -> list[tuple[int, Any]]:
    received, answers = b"", []
    while len(answers) < count:
        piece = connection.recv(65536)
        assert piece, f"closed after {len(answers)} of {count} answers"
        received += piece
        while b"\r\n\r\n" in received:
            head, _, rest = received.partition(b"\r\n\r\n")
            length = int(re.search(rb"content-length: (\d+)", head)[1])
            if len(rest) < length:
                break
            answers.append((int(head[9:12]), json.loads(rest[:length])))
            received = rest[length:]
    assert not received
    return answers


def predictions(answers: list[tuple[int, Any]]) -> list[float]:
    return [round(body["predictions"][0], 6) for status, body in answers if status == 200]


def status_of(received: bytes) -> int:
    assert received.startswith(b"HTTP/1.1 "), received
    return int(received[9:12])


def test_pipelined_requests_are_answered_in_order(connect: Connect) -> None:
    connection = connect()
    connection.sendall(b"".join(request(value) for value in range(300)))
    assert predictions(read_answers(connection, 300)) == list(range(300))


def test_pipelined_requests_of_different_kinds_keep_their_order(connect: Connect) -> None:
    connection = connect()
    health = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    connection.sendall(request(1) + health + chunked(2, 5) + b"GET /nowhere HTTP/1.1\r\n" + HEAD + b"\r\n" + request(3))
    answers = read_answers(connection, 5)
    assert [status for status, _ in answers] == [200, 200, 200, 404, 200]
    assert predictions([answers[0], answers[2], answers[4]]) == [1, 2, 3]


def test_head_is_answered_with_the_head_alone(connect: Connect) -> None:
    connection = connect()
    paths = (b"/health/ready", b"/p/demo/v2/models/sums", PATH)
    asked = b"".join(b"HEAD %b HTTP/1.1\r\n%b\r\n" % (path, HEAD) for path in paths)
    connection.sendall(asked + request(1, more=b"Connection: close\r\n"))
    *heads, last, body = read_all(connection).split(b"\r\n\r\n")
    assert [status_of(head) for head in (*heads, last)] == [200, 200, 405, 200]
    assert all(int(re.search(rb"content-length: (\d+)", head)[1]) > 0 for head in heads)
    assert json.loads(body)["predictions"] == [pytest.approx(1)]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_request_may_come_in_pieces_of_any_size(connect: Connect, size: int) -> None:
    connection = connect()
    data = chunked(4, size) + request(5)
    for at in range(0, len(data), size):
        connection.sendall(data[at : at + size])
    assert predictions(read_answers(connection, 2)) == [4, 5]


def test_a_client_that_closes_its_side_still_gets_its_answers(connect: Connect) -> None:
    connection = connect()
    connection.sendall(request(1) + request(2))
    connection.shutdown(socket.SHUT_WR)
    assert read_all(connection).count(b"HTTP/1.1 200 OK") == 2


def test_connection_close_is_honoured_and_http_1_0_closes_by_itself(connect: Connect) -> None:
    for data in (request(1, more=b"Connection: close\r\n"), request(1).replace(b"HTTP/1.1", b"HTTP/1.0")):
        connection = connect()
        connection.sendall(data)
        received = read_all(connection)
        assert status_of(received) == 200
        assert b"connection: close" in received


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01 TLS hello \r\n\r\n",
        b"NONSENSE / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST " + PATH + b" HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\n\r\n",
    ],
    ids=["tls", "method", "header", "length", "smuggling", "chunk", "proxy"],
)
def test_malformed_requests_are_answered_400_and_the_connection_ends(connect: Connect, data: bytes) -> None:
    connection = connect()
    connection.sendall(data)
    received = read_all(connection)
    assert status_of(received) == 400
    assert received.count(b"HTTP/1.1 4") == 1


def test_an_offer_to_upgrade_is_ignored_as_clients_of_java_expect(connect: Connect) -> None:
    connection = connect()
    offer = request(1, more=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n")
    connection.sendall(offer + request(2) + offer)
    assert predictions(read_answers(connection, 3)) == [1, 2, 1]


def test_answers_to_earlier_requests_come_before_the_refusal_of_a_malformed_one(connect: Connect) -> None:
    connection = connect()
    connection.sendall(request(1) + b"\r\nrubbish\r\n\r\n" + request(2))
    received = read_all(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"400"]


@pytest.mark.parametrize(
    "head",
    [
        b"X-Long: " + b"a" * 400_000,
        b"".join(b"X-%d: 1\r\n" % number for number in range(200)),
        b"".join(b"X-%d: %b\r\n" % (number, b"a" * 1000) for number in range(40)),
    ],
    ids=["one endless header", "many headers", "large headers"],
)
def test_a_flood_of_headers_is_refused(connect: Connect, head: bytes) -> None:
    connection = connect()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(b"GET /health/live HTTP/1.1\r\n" + head + b"\r\n\r\n")
    assert status_of(read_all(connection)) == 431


def test_an_endless_request_line_is_refused(connect: Connect) -> None:
    connection = connect()
    connection.sendall(b"GET /" + b"a" * 100_000)
    assert status_of(read_all(connection)) == 431


def test_a_body_announced_above_the_bound_is_refused_before_it_is_sent(connect: Connect) -> None:
    connection = connect()
    connection.sendall(b"POST %b HTTP/1.1\r\n%bContent-Length: 20001\r\nExpect: 100-continue\r\n\r\n" % (PATH, HEAD))
    received = read_all(connection)
    assert status_of(received) == 413
    assert b"20000 bytes" in received


def test_a_chunked_body_is_refused_once_it_passes_the_bound(connect: Connect) -> None:
    connection = connect()
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    connection.sendall(b"POST %b HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n%b" % (PATH, HEAD, chunk * 8))
    assert status_of(read_all(connection)) == 413


def test_a_client_that_waits_for_100_continue_gets_it(connect: Connect) -> None:
    connection = connect()
    data = request(6, more=b"Expect: 100-continue\r\n")
    head, _, body = data.partition(b"\r\n\r\n")
    connection.sendall(head + b"\r\n\r\n")
    assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(body)
    assert predictions(read_answers(connection, 1)) == [6]


def test_a_refused_request_leaves_the_connection_usable(connect: Connect) -> None:
    connection = connect()
    refused = request(1).replace(b"tilth_test_token", b"tilth_fake_token")
    connection.sendall(refused + request(2))
    answers = read_answers(connection, 2)
    assert [status for status, _ in answers] == [401, 200]


def test_a_large_body_without_credentials_is_not_read_to_its_end(connect: Connect) -> None:
    connection = connect()
    connection.sendall(b"POST %b HTTP/1.1\r\nContent-Length: 50000000\r\n\r\n" % PATH)
    try:
        for _ in range(100):
            connection.sendall(b" " * 100_000)
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert status_of(read_all(connection)) == 401


def test_a_client_that_leaves_in_the_middle_harms_nobody(connect: Connect) -> None:
    for _ in range(5):
        leaver = connect()
        leaver.sendall(request(1) * 50 + request(1)[:40])
        leaver.close()
    time.sleep(0.05)
    connection = connect()
    connection.sendall(request(9))
    assert predictions(read_answers(connection, 1)) == [9]


@pytest.mark.parametrize("head", [HEAD, b"Host: x\r\n"], ids=["admitted", "refused"])
def test_a_header_without_end_after_the_body_is_refused(connect: Connect, head: bytes) -> None:
    connection = connect()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(b"POST %b HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nX: " % (PATH, head))
        for _ in range(100):
            connection.sendall(b"a" * 100_000)
    assert status_of(read_all(connection)) == 431


def test_a_head_below_the_bound_may_come_in_pieces(connect: Connect) -> None:
    connection = connect()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = request(7, more=b"".join(b"X-%d: %b\r\n" % (number, b"a" * 1400) for number in range(20)))
    for at in range(0, len(data), 1000):
        connection.sendall(data[at : at + 1000])
        time.sleep(0.001)
    assert predictions(read_answers(connection, 1)) == [7]


def test_pipelined_requests_may_be_cut_within_their_heads(connect: Connect) -> None:
    connection = connect()
    data = b"".join(request(value) for value in range(300))
    late = data.rindex(b"POST") + 20
    for piece in (data[:20], data[20:late], data[late:]):
        connection.sendall(piece)
        time.sleep(0.05)
    assert predictions(read_answers(connection, 300)) == list(range(300))
