"""Large files in parts: in any order, again, by another process, joined and checked, swept when left alone."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tilth.backends.sql import Database, blob_use
from tilth.core.actors import Actor
from tilth.core.clock import DAY, Millis, now
from tilth.core.errors import Conflict, Invalid, NotFound, TooLarge
from tilth.core.hashing import content_address
from tilth.core.ids import Digest, ProjectId
from tilth.core.ports import StoredBlob
from tilth.domains.tracking import jobs
from tilth.domains.tracking.actions import uploads
from tilth.wire.uploads import MAX_PARTS, OpenUpload

API = "/api/v1/p/default"
MOST = 1_000_000
FIRST, SECOND = b"first " * 1000, b"second" * 500
WHOLE = hashlib.sha256(FIRST + SECOND).hexdigest()


@pytest.fixture
def run(installation: Any) -> str:
    return str(installation.client.post(f"{API}/runs", json={}).json()["id"])


def opened(client: Any, **wanted: Any) -> dict[str, Any]:
    answer = client.post(f"{API}/uploads", json=wanted)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def claims(installation: Any) -> int:
    with closing(sqlite3.connect(installation.home / "tilth.db")) as database:
        return int(database.execute("SELECT coalesce(sum(uses), 0) FROM blob_use").fetchone()[0])


def test_parts_in_any_order_become_an_artifact_and_only_it_keeps_its_bytes(installation: Any, run: str) -> None:
    client = installation.client
    upload = opened(client, size=len(FIRST + SECOND), digest=WHOLE)
    one = f"{API}/uploads/{upload['id']}"
    assert client.put(f"{one}/parts/2", content=SECOND).status_code == 200
    assert client.put(f"{one}/parts/1", content=b"damaged", headers={"x-tilth-sha256": "0" * 64}).status_code == 400
    assert client.post(f"{one}/complete", json={}).json()["error"]["code"] == "incomplete_upload"
    assert client.put(f"{one}/parts/1", content=FIRST, headers={"x-tilth-sha256": content_address(FIRST)}).status_code == 200
    assert [part["number"] for part in client.get(one).json()["parts"]] == [1, 2]
    done = client.post(f"{one}/complete", json={})
    assert (done.status_code, done.json()["complete"], done.json()["digest"]) == (200, True, WHOLE)
    assert client.post(f"{one}/complete", json={}).status_code == 200
    assert client.put(f"{one}/parts/1", content=b"late").status_code == 409
    where = f"{API}/runs/{run}/artifacts/big.bin"
    for _ in range(2):  # the answer was lost: the same request again
        kept = client.put(where, params={"upload": upload["id"]}, headers={"x-tilth-sha256": WHOLE})
        assert (kept.status_code, kept.json()["size"]) == (200, len(FIRST + SECOND))
    assert client.get(where).content == FIRST + SECOND
    assert client.get(one).status_code == 404
    assert claims(installation) == 1


def test_the_same_caller_finds_the_upload_of_a_file_again_and_nobody_else_does(installation: Any) -> None:
    upload = opened(installation.client, size=10, digest=WHOLE)
    assert opened(installation.client, size=10, digest=WHOLE)["id"] == upload["id"]
    other = installation.as_(installation.member("ada", "developer"))
    assert opened(other, size=10, digest=WHOLE)["id"] != upload["id"]
    assert other.get(f"{API}/uploads/{upload['id']}").status_code == 404
    assert other.put(f"{API}/uploads/{upload['id']}/parts/1", content=b"x").status_code == 404


def test_a_file_of_a_model_may_come_in_parts(installation: Any) -> None:
    client = installation.client
    model = client.post(f"{API}/logged-models", json={"name": "m"}).json()["id"]
    upload = opened(client)
    client.put(f"{API}/uploads/{upload['id']}/parts/1", content=FIRST)
    assert client.post(f"{API}/uploads/{upload['id']}/complete", json={"parts": [1]}).status_code == 200
    where = f"{API}/logged-models/{model}/files/model.bin"
    kept = client.put(where, params={"upload": upload["id"]})
    assert (kept.status_code, kept.json()["digest"]) == (201, content_address(FIRST))
    assert client.get(where).content == FIRST


def test_bytes_that_do_not_make_the_announced_file_are_refused(installation: Any) -> None:
    client = installation.client
    upload = opened(client, size=5, digest=WHOLE)
    client.put(f"{API}/uploads/{upload['id']}/parts/1", content=b"12345")
    assert client.post(f"{API}/uploads/{upload['id']}/complete", json={}).json()["error"]["code"] == "digest_mismatch"
    assert client.post(f"{API}/uploads/{upload['id']}/complete", json={"parts": [1, 1]}).status_code == 409
    assert client.post(f"{API}/uploads/{upload['id']}/complete", json={"digest": "x"}).status_code == 400
    assert client.delete(f"{API}/uploads/{upload['id']}").status_code == 204
    assert claims(installation) == 0


@pytest.fixture
def kept(either_db: Database, anna: Actor) -> tuple[Database, Actor, ProjectId]:
    return either_db, anna, ProjectId(f"{now():032x}")


def stored(data: bytes) -> StoredBlob:
    return StoredBlob(content_address(data), len(data), now())


def test_a_replaced_part_lets_go_of_its_bytes_and_bounds_hold(kept: Any) -> None:
    db, anna, project = kept
    upload = db.write_blocking(lambda tx: uploads.open_upload(tx, anna, project, OpenUpload(), max_bytes=MOST))

    def add(number: int, data: bytes, most: int = MOST) -> None:
        db.write_blocking(lambda tx: uploads.add_part(tx, anna, project, upload.id, number, stored(data), max_bytes=most))

    add(1, b"aaa")
    add(1, b"bb")
    add(2, b"bb")
    assert db.read_blocking(lambda tx: blob_use.bytes_of(tx, project)) == 2
    with pytest.raises(TooLarge):
        add(3, b"cccc", 7)
    for number in (0, MAX_PARTS + 1):
        with pytest.raises(Invalid, match="out of bounds"):
            add(number, b"x")
    joined = stored(b"bbbb")
    db.write_blocking(lambda tx: uploads.complete_upload(tx, anna, project, upload.id, joined))
    with pytest.raises(Conflict):
        add(3, b"x")
    assert db.read_blocking(lambda tx: uploads.completed_upload(tx, anna, project, upload.id)) == (joined.digest, 4)
    assert db.read_blocking(lambda tx: blob_use.claimed(tx, [Digest(content_address(b"bb")), joined.digest])) == {joined.digest}


def test_uploads_left_alone_for_a_day_are_let_go(kept: Any) -> None:
    db, anna, project = kept
    for data in (b"one", b"two"):
        upload = db.write_blocking(lambda tx: uploads.open_upload(tx, anna, project, OpenUpload(), max_bytes=MOST))
        part = stored(data)
        db.write_blocking(lambda tx, id_=upload.id, part=part: uploads.add_part(tx, anna, project, id_, 1, part, max_bytes=MOST))
    asyncio.run(jobs.sweep_uploads(db))
    assert db.read_blocking(lambda tx: blob_use.bytes_of(tx, project)) == 6
    later = Millis(now() + DAY + 1000)
    assert asyncio.run(jobs.sweep_uploads(db, lambda: later)) >= 2
    assert db.read_blocking(lambda tx: blob_use.bytes_of(tx, project)) == 0
    with pytest.raises(NotFound):
        db.read_blocking(lambda tx: uploads.upload_view(tx, anna, project, upload.id))


@pytest.mark.parametrize(
    ("wanted", "refused"),
    [
        (OpenUpload(size=MOST + 1), TooLarge),
        (OpenUpload(size=-1), Invalid),
        (OpenUpload(digest="beef"), Invalid),
        (OpenUpload(part_bytes=10), Invalid),
    ],
)
def test_what_cannot_become_a_file_is_refused_at_once(kept: Any, wanted: OpenUpload, refused: type[Exception]) -> None:
    db, anna, project = kept
    with pytest.raises(refused):
        db.write_blocking(lambda tx: uploads.open_upload(tx, anna, project, wanted, max_bytes=MOST))


def test_parts_are_so_large_that_ten_thousand_suffice() -> None:
    assert uploads.part_bytes(None, None) == 64 << 20
    assert uploads.part_bytes(10 << 40, None) * MAX_PARTS >= 10 << 40
