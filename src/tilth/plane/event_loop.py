"""The event loop of a model server: uvloop's, where it is built."""

from __future__ import annotations

import asyncio
from importlib import import_module
from importlib.util import find_spec


def new_event_loop() -> asyncio.AbstractEventLoop:
    # uvloop is not built for every platform.
    library = import_module("uvloop") if find_spec("uvloop") is not None else asyncio
    loop: asyncio.AbstractEventLoop = library.new_event_loop()
    return loop
