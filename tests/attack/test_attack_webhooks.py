"""Receivers that never answer, and names that nobody resolves: they hold up their own project, and nothing else."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from attack_steps import done, wait_for

from tilth.backends.notify import AddressRefused, Receivers


@pytest.fixture
def here(install: Callable[..., Any]) -> Any:
    return install(webhook_networks=("127.0.0.1",))


class Silent:
    """Takes connections and never says a word."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self.held: list[socket.socket] = []
        threading.Thread(target=self._hold, daemon=True).start()

    def _hold(self) -> None:
        while True:
            try:
                self.held.append(self._socket.accept()[0])
            except OSError:
                return

    def stop(self) -> None:
        if self._socket.fileno() < 0:
            return
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self.held:
            connection.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    made = Silent()
    yield made
    made.stop()


@pytest.fixture
def answering() -> Iterator[tuple[str, threading.Event]]:
    got = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()
            got.set()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", got
    server.shutdown()
    server.server_close()


def test_a_receiver_that_never_answers_holds_up_no_other_project(here, silent, answering):
    url, got = answering
    for project, address, messages in (("slow", silent.url, 20), ("quick", url, 1)):
        done(here.client.post("/api/v1/projects", json={"name": project}))
        hooks = f"/api/v1/p/{project}/webhooks"
        done(here.client.post(hooks, json={"name": "ci", "url": address, "events": ["*"]}))
        for _ in range(messages):
            done(here.client.post(f"{hooks}/ci/test"))
    sending = threading.Thread(target=lambda: asyncio.run(here.system.webhooks.send_due()))
    sending.start()
    try:
        wait_for(lambda: len(silent.held) >= 6)
        assert got.wait(5)
        assert sending.is_alive()
        assert len(silent.held) == 6
    finally:
        silent.stop()
        sending.join(30)
    assert done(here.client.get("/api/v1/p/quick/webhooks/ci/deliveries"))["deliveries"][0]["state"] == "delivered"
    told = done(here.client.get("/api/v1/p/slow/webhooks/ci/deliveries"))["deliveries"]
    assert [each["attempts"] for each in told] == [1] * 20


def test_names_are_looked_up_apart_from_the_threads_that_write_files_and_check_passwords():
    free = threading.Event()

    async def look() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        held = loop.run_in_executor(None, free.wait)
        try:
            with pytest.raises(AddressRefused, match="private network"):
                await asyncio.wait_for(Receivers().post("http://localhost:9/", b"", {}), 10)
        finally:
            free.set()
            await held

    asyncio.run(look())
