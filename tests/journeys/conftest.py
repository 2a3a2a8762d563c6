"""PostgreSQL and S3 for whole installations, and servers that share the work of the tests that only add to them."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.conftest import postgres_server, postgres_url
from tests.conftest import Server
from tests.journeys.steps import Done, train_and_deploy

__all__ = ["postgres_server", "postgres_url"]

MOTO = Path(__file__).parent.parent / "conformance" / "moto_child.py"
KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, str(MOTO)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | KEYS,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        yield f"http://127.0.0.1:{int(child.stdout.readline())}"
        child.stdin.close()


@pytest.fixture
def scaled(postgres_url: str, s3_endpoint: str) -> dict[str, str]:
    """The configuration of an installation for many teams, and nothing else that differs from a laptop."""
    return {
        "TILTH_DATABASE_URL": postgres_url,
        "TILTH_BLOBS_LOCATION": f"s3://tilth-blobs/{uuid.uuid4().hex}?endpoint={s3_endpoint}&region=us-east-1",
        **KEYS,
    }


@pytest.fixture(scope="session")
def delays(tilth_server: Server) -> Done:
    """Deployment `delay` on the shared server: a number, a whole number and a category go in."""
    return train_and_deploy(tilth_server)
