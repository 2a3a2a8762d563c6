"""Listening sockets of `tilth up`, and who else sits on a port. Standard library only: the supervisor stays small."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from tilth.core.errors import Conflict, Invalid

BACKLOG = 1024
_LISTENING = "0A"


class PortInUse(Conflict):
    """Another process listens there."""


class AddressUnusable(Invalid):
    """The host is unknown, not of this machine, or the port needs rights that this user lacks."""


def listen(host: str, port: int, count: int, *, option: str) -> list[socket.socket]:
    """`count` sockets on one port (0: a free one), each with its own queue; the kernel spreads connections over them.

    One shared socket let one worker take all keep-alive connections. The protocol is named because asyncio sets TCP_NODELAY only on
    sockets that say it: without it each keep-alive answer comes 44 ms late. option: the flag that chooses another port, for messages.
    Raises PortInUse, AddressUnusable.
    """
    family, address = _resolve(host, port)
    _refuse_taken(family, address, host, port, option)
    sockets: list[socket.socket] = []
    try:
        # A port of the kernel's choice is lost when its socket stops listening, one that was asked for by number is not: hence
        # one more socket, which only finds a number for the others.
        for _ in range(count if port else count + 1):
            taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            sockets.append(taken)
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            taken.bind(address)
            address = (address[0], taken.getsockname()[1])
        if not port:
            sockets.pop(0).close()
        for made in sockets:
            made.listen(BACKLOG)
    except OSError as error:
        for made in sockets:
            made.close()
        raise _told(error, host, port, option) from error
    return sockets


def stop_listening(taken: socket.socket) -> None:
    """Resets whoever waits in its queue; the kernel deals new clients to the other sockets of the port, or refuses them. The port stays
    taken, and whoever holds the socket, in this process or another, may listen again."""
    # Of a socket that does not listen it would end the reading of all connections that it takes once it listens again.
    if taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        with contextlib.suppress(OSError):  # macOS has no such way
            taken.shutdown(socket.SHUT_RD)


def listen_again(taken: socket.socket) -> None:
    taken.listen(BACKLOG)


def holder_of(port: int, proc: Path = Path("/proc")) -> tuple[int, str] | None:
    """Process id and command line of whoever listens on the TCP port; None where that cannot be found out."""
    inodes = {f"socket:[{inode}]" for name in ("tcp", "tcp6") for inode in _listening_inodes(proc / "net" / name, port)}
    for folder in proc.glob("[0-9]*") if inodes else ():
        try:
            if not inodes.isdisjoint(_open_in(folder)):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                return int(folder.name), command
        except OSError:
            continue
    return None


def _open_in(folder: Path) -> Iterator[str]:
    for link in (folder / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            yield os.readlink(link)


def _listening_inodes(table: Path, port: int) -> list[str]:
    try:
        lines = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return []
    return [parts[9] for parts in lines if parts[3] == _LISTENING and int(parts[1].rpartition(":")[2], 16) == port]


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise AddressUnusable(
            f"host {host!r} is not known here ({error.strerror}); use an address of this machine, such as 127.0.0.1"
        ) from error
    family, _, _, _, address = found[0]
    return family, (str(address[0]), port)


def _refuse_taken(family: socket.AddressFamily, address: tuple[str, int], host: str, port: int, option: str) -> None:
    """SO_REUSEPORT would let a second server of the same user share the port in silence; a bind without it tells."""
    if port == 0:
        return
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise _told(error, host, port, option) from error


def _told(error: OSError, host: str, port: int, option: str) -> PortInUse | AddressUnusable:
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(port)
        who = f" by process {holder[0]} ({holder[1][:120]})" if holder else ""
        return PortInUse(f"port {port} on {host} is in use{who}; choose another with {option}, or {option} 0 for any free one")
    if error.errno == errno.EACCES:
        return AddressUnusable(f"port {port} needs rights that this user lacks; choose one above 1023 with {option}")
    return AddressUnusable(
        f"cannot listen on {host} port {port}: {error.strerror}; use an address of this machine, such as 127.0.0.1"
    )
