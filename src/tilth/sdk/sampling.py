"""How hard the machine works while a run runs, and what the run used in the end."""

from __future__ import annotations

import resource
import shutil
import sys

import psutil

from tilth.core.clock import monotonic, now
from tilth.sdk.capture import run_quietly
from tilth.wire.tracking import MetricPoint, ResourceUse

MIB = 1 << 20


class Sampler:
    """Samples have the seconds since the start of the run as their step."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._started = monotonic()
        self._cpu_before = self._cpu_seconds()
        self._net_before, self._net_at = self._net_bytes(), monotonic()
        self._has_gpu = shutil.which("nvidia-smi") is not None
        # The first answer is measured from here on; without this call it would be 0.
        psutil.cpu_percent(None)
        self._process.cpu_percent(None)

    def sample(self) -> list[MetricPoint]:
        try:
            values = self._values()
        except (psutil.Error, OSError):
            return []
        step, moment = int(monotonic() - self._started), now()
        return [MetricPoint(f"system/{name}", round(value, 3), step, moment) for name, value in values.items()]

    def resource_use(self) -> ResourceUse:
        """Since the start of the run; the memory is the greatest of the process's whole life."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # Linux counts KiB, macOS bytes.
        peak_mb = peak / MIB if sys.platform == "darwin" else peak / 1024
        return ResourceUse(
            wall_s=round(monotonic() - self._started, 3),
            cpu_s=round(self._cpu_seconds() - self._cpu_before, 3),
            peak_rss_mb=round(peak_mb, 1),
        )

    def _values(self) -> dict[str, float]:
        memory = psutil.virtual_memory()
        values = {
            "cpu_percent": psutil.cpu_percent(None),
            "memory_mb": memory.used / MIB,
            "memory_percent": memory.percent,
            "process_cpu_percent": self._process.cpu_percent(None),
            "process_memory_mb": self._process.memory_info().rss / MIB,
        }
        net, at = self._net_bytes(), monotonic()
        if at > self._net_at:
            values["network_mb_per_s"] = max(0, net - self._net_before) / MIB / (at - self._net_at)
        self._net_before, self._net_at = net, at
        if self._has_gpu:
            values |= _gpu_values()
        return values

    def _cpu_seconds(self) -> float:
        used = self._process.cpu_times()
        return float(used.user + used.system + used.children_user + used.children_system)

    @staticmethod
    def _net_bytes() -> int:
        try:
            counted = psutil.net_io_counters()
        except OSError:
            return 0
        return counted.bytes_sent + counted.bytes_recv if counted is not None else 0


def _gpu_values() -> dict[str, float]:
    answer = run_quietly(["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits"])
    values: dict[str, float] = {}
    for number, line in enumerate((answer or b"").decode(errors="replace").splitlines()):
        used, _, memory = line.partition(",")
        try:
            values |= {f"gpu{number}_percent": float(used), f"gpu{number}_memory_mb": float(memory)}
        except ValueError:
            continue  # `[N/A]`: this card does not tell
    return values
