"""The event loop of a model server: uvloop's, where it is built."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with contextlib.suppress(ImportError):  # uvloop is not built for every platform
    pass
