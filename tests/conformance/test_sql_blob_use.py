"""Which project uses which bytes."""

from tilth.backends.sql import Database, blob_use
from tilth.core.ids import Digest, ProjectId

ONE, TWO = ProjectId("p1"), ProjectId("p2")
RED, BLUE = Digest("a" * 64), Digest("b" * 64)


def test_bytes_used_twice_are_kept_until_both_uses_end_and_count_once(database: Database) -> None:
    database.write_blocking(
        lambda tx: [blob_use.claim(tx, ONE, RED, 10), blob_use.claim(tx, ONE, RED, 10), blob_use.claim(tx, ONE, BLUE, 5)]
    )
    assert database.read_blocking(lambda tx: blob_use.bytes_of(tx, ONE)) == 15
    database.write_blocking(lambda tx: blob_use.release(tx, ONE, RED))
    assert database.read_blocking(lambda tx: blob_use.claimed(tx, [RED, BLUE])) == {RED, BLUE}
    database.write_blocking(lambda tx: blob_use.release(tx, ONE, RED))
    assert database.read_blocking(lambda tx: blob_use.claimed(tx, [RED, BLUE])) == {BLUE}


def test_a_release_by_one_project_leaves_the_bytes_of_another(database: Database) -> None:
    database.write_blocking(lambda tx: [blob_use.claim(tx, ONE, RED, 10), blob_use.claim(tx, TWO, RED, 10)])
    database.write_blocking(lambda tx: blob_use.release(tx, ONE, RED))
    assert database.read_blocking(lambda tx: blob_use.claimed(tx, [RED])) == {RED}
    assert database.read_blocking(lambda tx: (blob_use.bytes_of(tx, ONE), blob_use.bytes_of(tx, TWO))) == (0, 10)


def test_thousands_of_digests_can_be_asked_at_once(database: Database) -> None:
    digests = [Digest(f"{i:064x}") for i in range(1200)]
    database.write_blocking(lambda tx: [blob_use.claim(tx, ONE, digest, 1) for digest in digests[::2]])
    assert database.read_blocking(lambda tx: blob_use.claimed(tx, digests)) == set(digests[::2])
