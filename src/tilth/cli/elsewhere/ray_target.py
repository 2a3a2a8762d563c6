"""`tilth deploy --target ray`: a version inside Ray Serve."""

from __future__ import annotations

import shutil
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import click

from tilth.cli.caller import Caller
from tilth.core.hashing import Manifest
from tilth.core.names import check_slug
from tilth.plane.on_ray import RayMissing, Scale, attach, machines, serve_folder
from tilth.plane.standalone import Standing
from tilth.sdk import connection
from tilth.sdk.models import FetchedModel, fetch_model


@dataclass(frozen=True, slots=True)
class RayOptions:
    """replicas: how many. port: of Ray's proxy. shared: a folder that every machine of the cluster sees, None for this machine alone."""

    replicas: int
    port: int
    shared: Path | None


def deploy_on_ray(caller: Caller, reference: str, name: str, options: RayOptions) -> None:
    """Returns once the replicas answer; stays until Ctrl-C where there was no cluster and one was begun here."""
    check_slug(name, "deployment")
    target = caller.target()
    connection.init(target.project, url=target.url, token=target.token, home=target.home)
    found = fetch_model(reference)
    began = attach()
    if machines() > 1 and options.shared is None:
        raise RayMissing("the Ray cluster has several machines: name a folder that all of them see by --shared, for the model")
    folder = found.folder if options.shared is None else _placed(found, options.shared)
    number = found.name.rpartition("/")[2]
    standing = Standing(folder, name, int(number) if number.isdigit() else 1)
    serve_folder(standing, found.seal, Scale(options.replicas, route=f"/{name}", port=options.port))
    url = f"http://127.0.0.1:{options.port}/{name}"
    record = {"name": name, "version": found.name, "url": f"{url}/invocations", "replicas": options.replicas}
    caller.done(f"{found.name} is live on Ray as {name}: POST {url}/invocations; no token is asked for there", record)
    if began:
        click.echo("no Ray cluster was there: one was begun here and ends with Ctrl-C", err=True)
        _until_stopped()


def _placed(found: FetchedModel, shared: Path) -> Path:
    """Where every machine sees the model. Whole, or not there."""
    place = shared.absolute() / found.seal
    if place.is_dir() and Manifest.of_folder(place).digest == found.seal:
        return place
    arriving = shared.absolute() / f".{found.seal}.arriving"
    shutil.rmtree(arriving, ignore_errors=True)
    shutil.copytree(found.folder, arriving)
    shutil.rmtree(place, ignore_errors=True)
    arriving.rename(place)
    return place


def _until_stopped() -> None:
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    stopped.wait()
