"""PostgreSQL and S3 for whole installations, and servers that share the work of the tests that only add to them."""

from __future__ import annotations

import uuid

import pytest
from tests.conformance.conftest import S3_KEYS, postgres_url, s3_endpoint
from tests.conftest import Server
from tests.journeys.steps import Done, train_and_deploy

__all__ = ["postgres_url", "s3_endpoint"]


@pytest.fixture
def scaled(postgres_url: str, s3_endpoint: str) -> dict[str, str]:
    """The configuration of an installation for many teams, and nothing else that differs from a laptop."""
    return {
        "TILTH_DATABASE_URL": postgres_url,
        "TILTH_BLOBS_LOCATION": f"s3://tilth-blobs/{uuid.uuid4().hex}?endpoint={s3_endpoint}&region=us-east-1",
        **S3_KEYS,
    }


@pytest.fixture(scope="session")
def delays(tilth_server: Server) -> Done:
    """Deployment `delay` on the shared server: a number, a whole number and a category go in."""
    return train_and_deploy(tilth_server)
