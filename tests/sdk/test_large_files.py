"""Files above 64 MiB leave in parts and go on after a break, also in a new process."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import tilth
from tilth.core.errors import Unavailable
from tilth.sdk import uploads
from tilth.sdk.http import Http
from tilth.wire.uploads import OpenUpload, Upload

MIB = 1 << 20


@pytest.fixture
def big(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of five parts and a bit, where a part has 1 MiB."""
    monkeypatch.setattr(uploads, "PARTS_ABOVE_BYTES", 2 * MIB)
    monkeypatch.setattr(uploads, "PART_BYTES", MIB)
    file = tmp_path / "big.bin"
    file.write_bytes(os.urandom(5 * MIB + 77))
    return file


def stored(server: Any, run_id: str, name: str) -> bytes:
    headers = {"authorization": f"Bearer {server.token}"}
    return httpx.get(f"{server.url}/api/v1/p/default/runs/{run_id}/artifacts/{name}", headers=headers).content


def test_a_large_file_arrives_whole(live: Any, big: Path) -> None:
    with tilth.run() as run:
        run.log_artifact(big)
    assert stored(live, run.id, "big.bin") == big.read_bytes()


def test_only_the_parts_that_are_missing_are_sent_again(live: Any, big: Path) -> None:
    http = Http(live.url, live.token)
    digest = hashlib.sha256(big.read_bytes()).hexdigest()
    api = "/api/v1/p/default"
    opened = http.call("POST", f"{api}/uploads", Upload, body=OpenUpload(big.stat().st_size, digest, MIB))
    with big.open("rb") as stream:
        for number in (1, 2, 3):
            http.send("PUT", f"{api}/uploads/{opened.id}/parts/{number}", stream.read(MIB))
    moved: list[int] = []
    with tilth.run() as run:
        place = f"{run.path}/artifacts/big.bin"
        uploads.send_file(
            http, api, place, big, "application/octet-stream", retry_for_s=5, progress=lambda done, _: moved.append(done)
        )
        kept = http.send("GET", place).content
    assert kept == big.read_bytes()
    assert moved[-1] == big.stat().st_size
    with pytest.raises(Exception, match="no upload"):
        http.send("GET", f"{api}/uploads/{opened.id}")


def test_an_upload_goes_on_after_the_server_was_away(brittle: Any, big: Path) -> None:
    run = tilth.run()
    run.flush()
    http = Http(brittle.url, brittle.token)
    place, api = f"{run.path}/artifacts/big.bin", "/api/v1/p/default"

    def away_after_three(done: int, whole: int) -> None:
        if done == 3 * MIB:
            brittle.down()

    with pytest.raises(Unavailable):
        uploads.send_file(http, api, place, big, "application/octet-stream", retry_for_s=0.2, progress=away_after_three)
    brittle.up()
    uploads.send_file(Http(brittle.url, brittle.token), api, place, big, "application/octet-stream", retry_for_s=5)
    assert stored(brittle, run.id, "big.bin") == big.read_bytes()
    run.finish()


def test_a_large_file_of_a_model_arrives_whole(live: Any, big: Path) -> None:
    http = Http(live.url, live.token)
    model = http.send("POST", "/api/v1/p/default/logged-models", b'{"name": "m"}').json()["id"]
    place = f"/api/v1/p/default/logged-models/{model}/files/weights.bin"
    uploads.send_file(http, "/api/v1/p/default", place, big, "application/octet-stream", retry_for_s=5)
    assert http.send("GET", place).content == big.read_bytes()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "drawn"), [(Terminal(), True), (io.StringIO(), False)])
def test_a_bar_is_drawn_on_a_terminal_only(stream: Any, drawn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "BAR_AFTER_S", -1.0)
    bar: Callable[[int, int], None] = uploads.Bar("weights.bin", stream)
    for done in (0, 50_000_000, 100_000_000):
        bar(done, 100_000_000)
    assert ("100 of 100 MB" in stream.getvalue()) is drawn
    assert stream.getvalue().endswith("\n") is drawn
