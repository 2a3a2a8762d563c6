"""Listening sockets, and who holds a port."""

from __future__ import annotations

import os
import socket
from threading import Timer

import pytest

from tilth.cli.ports import AddressUnusable, PortInUse, holder_of, listen, listen_again, stop_listening


def test_each_worker_gets_a_socket_of_its_own_on_one_port() -> None:
    sockets = listen("127.0.0.1", 0, 3, option="--serve-port")
    try:
        (port,) = {taken.getsockname()[1] for taken in sockets}
        assert port > 0
        assert {taken.proto for taken in sockets} == {socket.IPPROTO_TCP}
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port)):
                pass
    finally:
        for taken in sockets:
            taken.close()


def test_a_socket_that_listens_again_takes_clients_as_before() -> None:
    away, other = listen("127.0.0.1", 0, 2, option="--serve-port")
    with away, other:
        stop_listening(away)
        stop_listening(away)
        for _ in range(20):
            with socket.create_connection(away.getsockname()), other.accept()[0]:
                pass
        stop_listening(other)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(away.getsockname())
        listen_again(away)
        with socket.create_connection(away.getsockname()) as client, away.accept()[0] as taken:
            client.settimeout(20)
            Timer(0.05, client.sendall, (b"asked later",)).start()
            assert taken.recv(100) == b"asked later"


def test_a_port_that_another_holds_is_refused_with_its_holder_and_the_flag_to_use() -> None:
    (first,) = listen("127.0.0.1", 0, 1, option="--port")
    with first:
        port = first.getsockname()[1]
        assert holder_of(port) is not None
        with pytest.raises(PortInUse, match=rf"port {port} on 127.0.0.1 is in use by process {os.getpid()} .*--port 0"):
            listen("127.0.0.1", port, 2, option="--port")
    listen("127.0.0.1", port, 1, option="--port")[0].close()


def test_a_socket_that_stops_listening_keeps_its_port() -> None:
    (taken,) = listen("127.0.0.1", 0, 1, option="--port")
    with taken:
        place = taken.getsockname()
        stop_listening(taken)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(place)
        listen_again(taken)
        assert taken.getsockname() == place
        socket.create_connection(place).close()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(AddressUnusable, match="address of this machine"):
        listen(host, 0, 1, option="--port")
