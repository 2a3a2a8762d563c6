"""Starts the process in which a foreign model is opened, and takes over what it leaves: a folder without links, or a reason."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tilth.sdk.importing.child import EXAMPLE, MODEL, REQUEST, RESULT, Request, Result
from tilth.sdk.importing.preparing import refuse_links, write_document
from tilth.sdk.importing.types import Found, NotImportable
from tilth.wire.models import DOCUMENT_NAME, ModelDocument

TIMEOUT_S = 900.0
KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SYSTEMROOT")
"""All that it gets of our environment: no token, no password, no cloud credentials."""
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def prepare_apart(
    found: Found,
    work: Path,
    example: Any,
    *,
    categories: Mapping[str, Sequence[str]] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> tuple[Path, ModelDocument]:
    """The folder of the model, and its document, which says that it is isolated. work: an empty folder. Raises NotImportable."""
    work.mkdir(parents=True, exist_ok=True)
    listed = {name: list(values) for name, values in categories.items()} if categories is not None else None
    (work / REQUEST).write_bytes(msgspec.json.encode(Request(str(found.path.resolve()), found.format, listed)))
    if example is not None:
        (work / EXAMPLE).write_bytes(pickle.dumps(example))
    said = _run(work, timeout_s)
    if not (work / RESULT).is_file():
        raise NotImportable(f"the process that opened {found.path.name} ended without a result: {said}")
    result = msgspec.json.decode((work / RESULT).read_bytes(), type=Result)
    if result.problem:
        raise NotImportable(f"{found.path.name} was opened in a process of its own: {result.problem}")
    folder = work / MODEL
    # Whatever ran there could have left anything here: files are taken over, links and its word on isolation are not.
    refuse_links(folder)
    document = msgspec.json.decode((folder / DOCUMENT_NAME).read_bytes(), type=ModelDocument)
    document = msgspec.structs.replace(document, isolated=True)
    write_document(folder, document)
    return folder, document


def _run(work: Path, timeout_s: float) -> str:
    """How it ended, in words, with the last of what it wrote."""
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | dict.fromkeys(ONE_THREAD, "1")
    environment |= {"HOME": str(work), "TMPDIR": str(work)}
    log = work / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tilth.sdk.importing.child", str(work)],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return f"it was still running after {timeout_s:.0f} s"
        finally:
            # The model's code may have started processes of its own.
            _end_session(process)
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 2000))
        tail = stream.read().decode(errors="replace").strip()[-500:]
    return f"signal {-code}" if code < 0 else f"exit code {code}" + (f"; it wrote: {tail}" if tail else "")


def _end_session(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()
