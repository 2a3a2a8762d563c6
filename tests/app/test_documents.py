"""Threads of the database convert rows to documents from the first moment on."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import threading
import msgspec
import tilth.app.control
from tilth.app.documents import learn_documents
from tilth.domains.serving.types import Route
from tilth.wire.models import ModelDocument
from tilth.wire.serving import DeploymentSettings, DeploymentView

learn_documents()
barrier = threading.Barrier(16)

def convert():
    barrier.wait()
    for kind in (DeploymentSettings, tuple[Route, ...], ModelDocument, DeploymentView):
        try:
            msgspec.convert({}, kind)
        except msgspec.ValidationError:
            pass

threads = [threading.Thread(target=convert) for _ in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("converted", hasattr(Route, "__msgspec_cache__"))
"""


def test_documents_are_known_before_threads_convert_to_them() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "converted True\n"
