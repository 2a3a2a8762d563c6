"""The code of a run out of Git. Commit and remote were written by others: neither may become an option or set off a program."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tilth.cli.reproducing.child import last_words, run_child
from tilth.core.errors import Conflict, Invalid, NotFound, Unavailable
from tilth.sdk.capture import CUT
from tilth.wire.tracking import GitState

SCHEMES = ("https", "ssh", "http", "git")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_URL = re.compile(rf"(?:{'|'.join(SCHEMES)})://(?:[\w.+~-]+@)?[\w\[][\w.:\[\]-]*/\S+")
_SSH = re.compile(r"(?:[\w.+][\w.+-]*@)?\w[\w.-]*:(?![:/]{2})[\w~./][^\s:]*")
_QUIET = (
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "advice.detachedHead=false",
    "-c",
    "maintenance.auto=false",
)
_OF_ANOTHER_REPOSITORY = frozenset(
    ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR",
     "GIT_PREFIX", "GIT_NAMESPACE", "GIT_CONFIG", "GIT_SHALLOW_FILE", "GIT_EXTERNAL_DIFF")
)  # fmt: skip
SHOWN_LINES = 8


class NotACommit(Invalid):
    def __init__(self, text: str) -> None:
        super().__init__(f"the run names {text[:80]!r} as its commit, which is no commit id; nothing was taken from Git")


class UnsafeRemote(Invalid):
    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text[:120]!r} is no address that Git is asked for: take https://, ssh://, git@host:path, "
            "or name a local clone with --repository PATH"
        )


class NoRepository(NotFound):
    """The commit is in no repository that is known here."""


class GitFailed(Unavailable):
    """Git could not do it; the message ends with its words."""


class DiffDoesNotApply(Conflict):
    """The uncommitted changes do not fit the commit."""


@dataclass(frozen=True, slots=True)
class Source:
    """location: a folder of this machine, or an address."""

    location: str
    is_local: bool


def find_source(state: GitState, named: str | None, *, same_machine: bool, here: Path) -> Source:
    """Where the commit can be had: the named place, a clone on this machine that holds it, else the recorded remote.

    here: the folder the command was called in. Raises NotACommit, UnsafeRemote, NoRepository.
    """
    if not _COMMIT.fullmatch(state.commit):
        raise NotACommit(state.commit)
    if named is not None:
        clone = Path(named).expanduser()
        if clone.is_dir():
            return Source(str(clone.resolve()), True)
        return Source(checked_remote(named), False)
    # Paths that another machine recorded mean nothing on this one.
    recorded = [Path(place) for place in (state.root, state.remote) if same_machine and place.startswith("/")]
    for place in [*recorded, here]:
        if os.path.isdir(place) and holds(place, state.commit):
            return Source(_top(place), True)
    if not state.remote or state.remote.startswith("/"):
        raise NoRepository(
            f"commit {state.commit[:12]} is in no repository known here, and the run has no remote that others can reach; "
            "name a clone with --repository PATH"
        )
    return Source(checked_remote(state.remote), False)


def checked_remote(text: str) -> str:
    """Raises UnsafeRemote for what Git would take for an option, a helper program (`ext::`) or another scheme."""
    if _is_address(text):
        return text
    raise UnsafeRemote(text)


def _is_address(text: str) -> bool:
    return text.isprintable() and bool(_URL.fullmatch(text) or _SSH.fullmatch(text))


def holds(place: Path, commit: str) -> bool:
    return _git(place, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def check_out(source: Source, commit: str, into: Path, remote: str = "") -> None:
    """into: an empty folder. remote: what its `origin` shall be, where that is an address. Raises GitFailed, NoRepository."""
    if source.is_local:
        # Hard links: objects that no branch reaches come along, and it takes no time.
        _needed(None, "clone", "--quiet", "--no-checkout", "--", source.location, str(into))
        if _is_address(remote):
            _needed(into, "remote", "set-url", "origin", remote)
    else:
        _needed(None, "init", "--quiet", "--", str(into))
        _needed(into, "remote", "add", "origin", source.location)
        if _git(into, "fetch", "--quiet", "--depth=1", "--no-tags", "origin", commit).returncode:
            _needed(into, "fetch", "--quiet", "--tags", "origin")
    if not holds(into, commit):
        raise NoRepository(f"{source.location} does not hold commit {commit[:12]}; name a clone that does with --repository PATH")
    _needed(into, "checkout", "--quiet", "--detach", commit)


def apply_diff(folder: Path, diff: bytes) -> None:
    """All of it or nothing. Git refuses paths outside of the tree, through links, and into `.git`. Raises DiffDoesNotApply."""
    if not diff.strip():
        return
    if diff.endswith(CUT):
        raise DiffDoesNotApply("the uncommitted changes of the run were too long to be kept whole; --no-diff leaves them out")
    tried = _git(folder, "apply", "--check", "--whitespace=nowarn", "-", given=diff)
    if tried.returncode == 0:
        tried = _git(folder, "apply", "--whitespace=nowarn", "-", given=diff)
    if tried.returncode:
        raise DiffDoesNotApply(
            f"the uncommitted changes of the run do not apply to its commit; --no-diff leaves them out:\n{last_words(tried, SHOWN_LINES)}"
        )


def hide(folder: Path, *names: str) -> None:
    """What we put there is not the repository's."""
    with (folder / ".git" / "info" / "exclude").open("a") as listed:
        listed.writelines(f"/{name}\n" for name in names)


def has_submodules(folder: Path) -> bool:
    return (folder / ".gitmodules").is_file()


def _top(place: Path) -> str:
    found = _git(place, "rev-parse", "--show-toplevel")
    return found.stdout.decode(errors="replace").strip() or str(place)


def _needed(folder: Path | None, *arguments: str) -> None:
    done = _git(folder, *arguments)
    if done.returncode:
        words = last_words(done, SHOWN_LINES)
        raise GitFailed(
            f"git {arguments[0]} failed; look at the network, your rights, or name a clone with --repository:\n{words}"
        )


def _git(folder: Path | None, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    where = ["-C", str(folder)] if folder is not None else []
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_REPOSITORY}
    environment |= {"LC_ALL": "C", "GIT_ALLOW_PROTOCOL": ":".join(("file", *SCHEMES))}
    try:
        return run_child(["git", *_QUIET, *where, *arguments], Path.cwd(), given=given, environment=environment)
    except FileNotFoundError as error:
        raise GitFailed("the run's code is in Git, and there is no program `git` here: install it") from error
