"""Versions of a model that can be deployed, made over HTTP as a training script makes them."""

from __future__ import annotations

import httpx
import msgspec

from tilth.wire.models import ModelDocument
from tilth.wire.signature import Column, Signature

P = "/api/v1/p/default"
DOCUMENT = ModelDocument("sklearn", Signature((Column("x", "double"),), (Column("y", "double"),)), "predict", "model.pkl")


def register(client: httpx.Client, seed: str, **more: bytes) -> None:
    """The next version of the model m. seed: makes its bytes differ from those of other versions. more: files, by name without .json."""
    id_ = client.post(f"{P}/logged-models", json={"name": "m"}).json()["id"]
    files = {"MLmodel": b"flavors: {}", "model.pkl": seed.encode(), "tilth.json": msgspec.json.encode(DOCUMENT)}
    files |= {f"{name}.json": data for name, data in more.items()}
    for path, data in files.items():
        client.put(f"{P}/logged-models/{id_}/files/{path}", content=data)
    client.post(f"{P}/logged-models/{id_}/finalize", json={})
    assert client.post(f"{P}/models/m/versions", json={"logged_model_id": id_}).status_code == 201
