"""Folders of models on their way to the server: a logged model is opened, filled with every file, and sealed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec

from tilth.core.errors import TilthError
from tilth.core.hashing import Manifest
from tilth.sdk.connection import Connection
from tilth.sdk.current import current_run
from tilth.sdk.uploads import send_file
from tilth.wire.registry import CreateLoggedModel, FinalizeLoggedModel, LoggedModelView

UPLOAD_RETRY_S = 60.0


@contextmanager
def opened(target: Connection, name: str, model_type: str, tags: dict[str, str]) -> Iterator[str]:
    """The id of a new logged model of the current run, if there is one; it is marked as failed when what is done with it fails."""
    open_run = current_run()
    wanted = CreateLoggedModel(
        name=name, source_run_id=open_run.id if open_run is not None else None, model_type=model_type, tags=tags
    )
    logged = target.http.call("POST", f"{target.api}/logged-models", LoggedModelView, body=wanted)
    try:
        yield logged.id
    except TilthError as error:
        _give_up(target, logged.id, str(error))
        raise


def fill(target: Connection, logged_model_id: str, folder: Path) -> LoggedModelView:
    """Sends every file of the folder and seals them."""
    manifest = Manifest.of_folder(folder)
    path = f"{target.api}/logged-models/{logged_model_id}"
    for entry in manifest.files:
        send_file(
            target.http,
            target.api,
            f"{path}/files/{quote(entry.path)}",
            folder / entry.path,
            "application/octet-stream",
            retry_for_s=UPLOAD_RETRY_S,
            digest=entry.digest,
        )
    body = FinalizeLoggedModel(manifest_digest=manifest.digest)
    return target.http.call("POST", f"{path}/finalize", LoggedModelView, body=body)


def _give_up(target: Connection, logged_model_id: str, reason: str) -> None:
    body = FinalizeLoggedModel(status="failed", message=reason[:1000])
    path = f"{target.api}/logged-models/{logged_model_id}/finalize"
    try:
        target.http.send("POST", path, msgspec.json.encode(body), retry_for_s=0.0)
    except TilthError:
        return  # the first error tells the user more than this one would
