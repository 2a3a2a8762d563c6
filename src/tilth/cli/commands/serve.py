"""`tilth serve`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from urllib.parse import quote

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.elsewhere.deployed import deployed
from tilth.cli.elsewhere.model_folders import ModelNotThere, model_folder
from tilth.cli.ports import listen
from tilth.core.errors import Unavailable
from tilth.plane.standalone import MAX_BODY_BYTES

SAGEMAKER_FOLDER = Path("/opt/ml/model")
PORT = 8080
RESTART_AFTER_S = 0.5
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class NotServing(Unavailable):
    """The model did not come up."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What a platform's environment says. model: folder or address, empty for none; health and predict: addresses that it wants."""

    model: str
    host: str
    port: int
    health: str = ""
    predict: str = ""


def contract_of(container: str | None, environment: Mapping[str, str]) -> Contract:
    """container None: Vertex AI and SageMaker are known by what they set; anything else is this machine."""
    if container == "vertex" or (container is None and "AIP_HTTP_PORT" in environment):
        return Contract(
            environment.get("AIP_STORAGE_URI", ""),
            "0.0.0.0",
            int(environment.get("AIP_HTTP_PORT", PORT)),
            environment.get("AIP_HEALTH_ROUTE", "/health"),
            environment.get("AIP_PREDICT_ROUTE", "/predict"),
        )
    if container == "sagemaker" or (container is None and SAGEMAKER_FOLDER.is_dir()):
        return Contract(str(SAGEMAKER_FOLDER), "0.0.0.0", int(environment.get("SAGEMAKER_BIND_TO_PORT", PORT)))
    return Contract("", "127.0.0.1", PORT)


@click.command(
    epilog="""\b
Examples:
  tilth serve --model ./model                        one model folder, on http://127.0.0.1:8080
  tilth serve --deployment flight-delay --port 9000  what a deployment serves now, without its server
  docker run -p 8080:8080 IMAGE serve                as SageMaker does it: the model is in /opt/ml/model
  tilth serve --container vertex                     as the variables AIP_* of Vertex AI say
"""
)
@click.option("--model", help="Folder of a model (or s3://, gs://, az://); default: /opt/ml/model, or AIP_STORAGE_URI.")
@click.option("--deployment", help="Serve what this deployment serves now; its files are fetched from the server.")
@click.option("--container", type=click.Choice(["sagemaker", "vertex"]), help="Whose contract to keep (default: as it looks).")
@click.option("--name", help="What clients call the model (default: the deployment, or the folder).")
@click.option(
    "--version", type=click.IntRange(1), help="Number of its version, as answers tell it (default: the deployment's, or 1)."
)
@click.option("--host", help="Address to listen on (127.0.0.1; in a container 0.0.0.0).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port (8080, or what the platform says); 0 takes a free one.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes that serve side by side.")
@click.option("--log", type=click.Path(path_type=Path, file_okay=False), help="Keep a prediction log in this folder.")
@click.option("--max-body-bytes", type=click.IntRange(1), default=MAX_BODY_BYTES, show_default=True, help="Longest body.")
@shared()
def serve(
    caller: Caller,
    model: str | None,
    deployment: str | None,
    container: str | None,
    name: str | None,
    version: int | None,
    host: str | None,
    port: int | None,
    workers: int,
    log: Path | None,
    max_body_bytes: int,
) -> int:
    """Serve one model without a Tilth server, as the containers of clouds do.

    No token is asked for: whoever reaches the port may predict. Prints `ready <url>` and stays until Ctrl-C.
    """
    if model is not None and deployment is not None:
        raise click.UsageError("give either --model or --deployment, not both")
    contract = contract_of(container, os.environ)
    if deployment is not None:
        found = deployed(caller.target(), deployment)
        folder, called = found.model.folder, found.view.name
        version = version or found.view.version
    else:
        place = model or contract.model
        if not place:
            raise ModelNotThere("nothing says which model: add --model FOLDER or --deployment NAME")
        folder = model_folder(place)
        called = "model" if folder == SAGEMAKER_FOLDER else folder.name or "model"
    options = ["--model", str(folder), "--name", name or called, "--version", str(version or 1)]
    options += ["--health", contract.health, "--predict", contract.predict, "--max-body-bytes", str(max_body_bytes)]
    options += ["--log", str(log.resolve())] if log is not None else []
    shown = host or contract.host
    if shown not in LOOPBACK:
        click.echo(f"no token is asked for on {shown}: whoever reaches the port may predict", err=True)
    return _Workers(options, shown, contract.port if port is None else port, workers).run(quote(name or called))


class _Workers:
    """Processes on one port, each with a socket of its own that outlives it."""

    def __init__(self, options: list[str], host: str, port: int, count: int) -> None:
        self._listeners = listen(host, port, count, option="--port")
        self._url = f"http://{f'[{host}]' if ':' in host else host}:{self._listeners[0].getsockname()[1]}"
        self._options = options
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stopping = False

    def run(self, name: str) -> int:
        """Until a signal, or until a model cannot be loaded. Raises NotServing."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        ready = [self._start(at) for at in range(len(self._listeners))]
        if not all(map(_was_ready, ready)):
            asked_to_stop = self._stopping
            self._end()
            if asked_to_stop:
                return 0
            raise NotServing("the model did not come up; what is wrong with it stands above")
        click.echo(f"ready {self._url}")
        click.echo(f"predict at {self._url}/invocations, {self._url}/v2/models/{name}/infer", err=True)
        sys.stdout.flush()
        self._watch()
        self._end()
        return 0

    def _start(self, at: int) -> int:
        """Returns the end of a pipe that gets a byte once the process answers."""
        ready, told = os.pipe()
        listener = self._listeners[at]
        arguments = [sys.executable, "-m", "tilth.plane.standalone", *self._options]
        arguments += ["--worker", f"w{at}", "--fd", str(listener.fileno()), "--ready-fd", str(told)]
        process = subprocess.Popen(arguments, pass_fds=(listener.fileno(), told))
        os.close(told)
        self._processes[at : at + 1] = [process]
        return ready

    def _watch(self) -> None:
        """A process that ends unasked is started again; its socket kept its queue."""
        while not self._stopping:
            for at, process in enumerate(self._processes):
                if process.poll() is not None and not self._stopping:
                    click.echo(f"process {process.pid} ended with {process.returncode}; starting it again", err=True)
                    if not _was_ready(self._start(at)):
                        self._stopping = True
                        self._end()
                        raise NotServing("the model did not come up again; what is wrong with it stands above")
            time.sleep(RESTART_AFTER_S)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        for process in self._processes:
            if process.poll() is None:
                process.terminate()

    def _end(self) -> None:
        self._stop(signal.SIGTERM, None)
        for process in self._processes:
            process.wait()
        for listener in self._listeners:
            listener.close()


def _was_ready(pipe: int) -> bool:
    with os.fdopen(pipe, "rb") as waiting:
        return waiting.read(1) == b"1"
