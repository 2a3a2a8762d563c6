"""Where rows come from and go to: a folder of this machine, or a prefix in an object store. Names within are paths with `/`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from tilth.core.errors import Denied, Unavailable
from tilth.core.ids import new_id
from tilth.sdk.batch.errors import InvalidPlace

STORES = {"s3": "S3Store", "gs": "GCSStore", "az": "AzureStore"}
OPTIONS = ("endpoint", "region")
PIECE_BYTES = 8 << 20


class StoreTrouble(Unavailable):
    """The object store did not do what was asked."""


class StoreRefused(Denied):
    """The object store refuses the credentials of this process."""


@dataclass(frozen=True, slots=True)
class Found:
    """One file. stamp: changes when the file does."""

    name: str
    size: int
    stamp: str


class Place(Protocol):
    """shown: for people. options: what polars needs to scan an `address` in it, None for a local one."""

    shown: str
    options: dict[str, str] | None

    def files(self, below: str = "") -> list[Found]:
        """Every file below the folder `below`, sorted by name."""
        ...

    def find(self, name: str) -> Found | None: ...

    def address(self, name: str) -> str: ...

    def pieces(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Bytes of a file from `start` to before `end`, in pieces of at most 8 MiB."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Whole or not at all; what stood there is replaced. On a local disk it survives a power cut."""
        ...

    def write_file(self, name: str, source: Path) -> None:
        """As `write`, of a file of this machine, which may be gone afterwards."""
        ...

    def remove(self, name: str) -> None:
        """Nothing happens where there is no such file."""
        ...


class LocalPlace:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shown = str(folder)
        self.options: dict[str, str] | None = None

    def files(self, below: str = "") -> list[Found]:
        found = []
        for folder, _, names in os.walk(self.folder / below):
            found += [self._found(Path(folder, name)) for name in names if Path(folder, name).is_file()]
        return sorted(found, key=lambda file: file.name)

    def find(self, name: str) -> Found | None:
        path = self.folder / name
        return self._found(path) if path.is_file() else None

    def address(self, name: str) -> str:
        return str(self.folder / name)

    def pieces(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        with (self.folder / name).open("rb") as stream:
            stream.seek(start)
            left = PIECE_BYTES if end is None else end - start
            while left > 0 and (piece := stream.read(min(PIECE_BYTES, left))):
                yield piece
                left = PIECE_BYTES if end is None else left - len(piece)

    def write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{new_id()}.tmp")
        try:
            fresh.write_bytes(data)
            self._put(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)

    def write_file(self, name: str, source: Path) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._put(source, path)

    def remove(self, name: str) -> None:
        path = self.folder / name
        path.unlink(missing_ok=True)
        if path.parent != self.folder and path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()

    def _found(self, path: Path) -> Found:
        stat = path.stat()
        return Found(path.relative_to(self.folder).as_posix(), stat.st_size, str(stat.st_mtime_ns))

    def _put(self, fresh: Path, path: Path) -> None:
        with fresh.open("rb") as stream:
            os.fsync(stream.fileno())
        fresh.replace(path)
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class ObjectPlace:
    """A prefix of a bucket. An object appears whole, by itself."""

    def __init__(self, scheme: str, bucket: str, prefix: str, options: dict[str, str]) -> None:
        try:
            import obstore
            import obstore.exceptions
            import obstore.store
        except ImportError as missing:
            raise InvalidPlace("an object store needs the extra `s3`: pip install 'path/to/the/clone[s3]'") from missing
        self._obstore = obstore
        self._prefix = prefix.strip("/")
        self._root = f"{scheme}://{bucket}"
        self.shown = f"{self._root}/{self._prefix}".rstrip("/")
        plain = options.get("endpoint", os.environ.get("AWS_ENDPOINT_URL", "")).startswith("http://")
        client = {
            "timeout": timedelta(hours=1),
            "read_timeout": timedelta(seconds=60),
            "connect_timeout": timedelta(seconds=10),
            "allow_http": plain,
        }
        made = getattr(obstore.store, STORES[scheme])
        self._store: Any = made(bucket, client_options=client, **options)
        names = {"endpoint": "aws_endpoint_url", "region": "aws_region"} if scheme == "s3" else {}
        self.options: dict[str, str] | None = {names[key]: value for key, value in options.items() if key in names}
        self.options |= {"aws_allow_http": "true"} if plain else {}

    def files(self, below: str = "") -> list[Found]:
        key = self._key(below).rstrip("/")
        with self._told():
            listed = [meta for page in self._obstore.list(self._store, f"{key}/" if key else None) for meta in page]
        return sorted((self._found(meta) for meta in listed), key=lambda file: file.name)

    def find(self, name: str) -> Found | None:
        try:
            with self._told():
                return self._found(self._obstore.head(self._store, self._key(name)))
        except FileNotFoundError:
            return None

    def address(self, name: str) -> str:
        return f"{self._root}/{self._key(name)}"

    def pieces(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        found = self.find(name)
        stop = found.size if found is not None and end is None else end or 0
        while start < stop:
            upto = min(stop, start + PIECE_BYTES)
            with self._told():
                yield bytes(self._obstore.get_range(self._store, self._key(name), start=start, end=upto))
            start = upto

    def write(self, name: str, data: bytes) -> None:
        with self._told():
            self._obstore.put(self._store, self._key(name), data)

    def write_file(self, name: str, source: Path) -> None:
        with self._told():
            self._obstore.put(self._store, self._key(name), source)

    def remove(self, name: str) -> None:
        try:
            with self._told():
                self._obstore.delete(self._store, self._key(name))
        except FileNotFoundError:
            return

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self._prefix, name) if part)

    def _found(self, meta: Any) -> Found:
        name = meta["path"][len(self._prefix) + 1 :] if self._prefix else meta["path"]
        stamp = meta.get("e_tag") or str(meta["last_modified"])
        return Found(name, meta["size"], stamp)

    def _told(self) -> _Told:
        return _Told(self._obstore.exceptions, self.shown)


class _Told:
    """Turns errors of obstore into errors that say what to do. FileNotFoundError comes out as it is."""

    def __init__(self, errors: Any, shown: str) -> None:
        self._errors = errors
        self._shown = shown

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or (isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error)):
            return
        first = str(error).partition("\n")[0][:300]
        if isinstance(error, PermissionError | self._errors.PermissionDeniedError | self._errors.UnauthenticatedError):
            raise StoreRefused(
                f"{self._shown} refuses the credentials of this process: check AWS_ACCESS_KEY_ID and what its owner may do ({first})"
            ) from error
        if isinstance(error, FileNotFoundError | self._errors.BaseError):
            raise StoreTrouble(
                f"{self._shown} did not do what was asked: check that the bucket exists and its endpoint can be reached ({first})"
            ) from error


def is_remote(address: str) -> bool:
    return "://" in address and not address.startswith("file://")


def open_place(address: str) -> Place:
    """The folder at a path, `file:///path`, or `s3://bucket/prefix?endpoint=URL&region=NAME` (gs, az likewise).

    Credentials come from the environment or the machine's role, as the provider's own tools read them. Raises InvalidPlace.
    """
    parts = urlsplit(address)
    if not is_remote(address):
        return LocalPlace(Path(unquote(parts.path) if parts.scheme == "file" else address).expanduser().absolute())
    if parts.scheme not in STORES:
        raise InvalidPlace(f"{address!r}: give a path, or an address of {', '.join(f'{name}://' for name in STORES)}")
    if "@" in parts.netloc or not parts.netloc:
        raise InvalidPlace(
            f"{parts.scheme}:// takes a bucket and a prefix, and no credentials: set them in the environment (AWS_ACCESS_KEY_ID, ...)"
        )
    options = dict(parse_qsl(parts.query))
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise InvalidPlace(f"option {unknown[0]!r} of {address!r} is not known; there are: {', '.join(OPTIONS)}")
    return ObjectPlace(parts.scheme, parts.netloc, unquote(parts.path), options)


def split_name(address: str) -> tuple[str, str]:
    """The address of the folder that a file lies in, and the file's name in it."""
    bare, question, query = address.partition("?")
    folder, slash, name = bare.rpartition("/")
    return f"{folder or (slash or '.')}{question}{query}", name


def digest_of(place: Place, name: str) -> str:
    sha = hashlib.sha256()
    for piece in place.pieces(name):
        sha.update(piece)
    return sha.hexdigest()
