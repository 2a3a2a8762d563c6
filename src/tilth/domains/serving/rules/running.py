"""Where and how the versions of a deployment run, in words. Pure."""

from __future__ import annotations

from tilth.wire.serving import DeploymentSettings


def how_it_runs(settings: DeploymentSettings) -> list[str]:
    """Phrases for a page: what differs from predicting in the model server itself."""
    words = []
    if settings.environment == "model":
        words.append("in an environment built from the model's requirements")
    elif settings.python:
        words.append(f"in {settings.python}")
    most = max(settings.min_processes, settings.max_processes)
    if settings.process or words or settings.memory_mb or settings.threads != 1 or most > 1:
        count = f"{settings.min_processes} to {most} processes" if most > settings.min_processes else _several(most)
        words.insert(0, f"in {count} for each model server")
    if settings.memory_mb:
        words.append(f"up to {settings.memory_mb:,} MB each")
    if settings.threads != 1:
        words.append(f"{settings.threads} threads each")
    if settings.load == "lazy":
        words.append("loaded by its first request")
    return words or ["in the model servers"]


def _several(count: int) -> str:
    return f"{count} processes" if count > 1 else "a process of its own"
