"""`tilth image`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.elsewhere.deployed import deployed
from tilth.cli.elsewhere.image import write_context
from tilth.cli.elsewhere.locking import chosen, closure, locked_by_uv, needs_of
from tilth.core.errors import Unavailable


class NoDocker(Unavailable):
    """The image cannot be built here."""


@click.command(
    epilog="""\b
Examples:
  tilth image flight-delay --out ./image
  tilth image flight-delay --out ./image --lock requirements.txt --base python:3.11-slim@sha256:...
  tilth image flight-delay --out ./image --build --tag registry.example.org/flight-delay:3
"""
)
@click.argument("deployment")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the context.")
@click.option("--base", help="Base image (default: python:X.Y-slim of this Python); name it with its digest to pin it.")
@click.option(
    "--lock",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="pip lock file with hashes to take packages from (default: ask the package index by uv).",
)
@click.option("--build", is_flag=True, help="Build it by docker.")
@click.option("--tag", help="Name of the image that --build makes (default: NAME:VERSION).")
@shared()
def image(caller: Caller, deployment: str, out: Path, base: str | None, lock: Path | None, build: bool, tag: str | None) -> None:
    """Write a Dockerfile and its context, which serve the version of DEPLOYMENT anywhere.

    Every package stands in requirements.txt with the hashes of its files, every file of the model with its digest. The container
    runs as a user of its own, on a file system that may be read-only, and asks for no token: put it behind what does.
    """
    if build and shutil.which("docker") is None:
        raise NoDocker("docker is not installed here; leave --build out, and build the context where it is")
    what = deployed(caller.target(), deployment)
    requirements = what.model.folder / "requirements.txt"
    wanted = closure(needs_of(what.model.document, requirements.read_text() if requirements.is_file() else ""))
    locked = chosen(lock.read_text(), wanted) if lock is not None else chosen(locked_by_uv(wanted), wanted)
    context = write_context(what, out, locked, base)
    name = tag or f"{what.label}:{what.model.name.rpartition('/')[2]}"
    if build:
        _build(out, name)
    facts = context.facts
    what_next = f"built {name}" if build else f"build it: docker build -t {name} {out}"
    caller.done(
        f"{out}: {facts.version} with {len(wanted)} packages; {what_next}",
        {"folder": str(out), "version": facts.version, "seal": facts.seal, "packages": wanted, "tag": name if build else None},
    )


def _build(folder: Path, name: str) -> None:
    ended = subprocess.run(["docker", "build", "--tag", name, str(folder)], check=False)
    if ended.returncode:
        raise NoDocker(f"docker build ended with code {ended.returncode}; what it wrote stands above, the context in {folder}")
