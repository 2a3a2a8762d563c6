"""Where blobs lie, as one line of the configuration."""

from __future__ import annotations

from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tilth.backends.blobs.local import LocalBlobs
from tilth.backends.blobs.objects import ObjectBlobs, import_obstore
from tilth.core.clock import Clock, now
from tilth.core.errors import Invalid
from tilth.core.ports import Blobs

_STORES = {"s3": "S3Store", "gs": "GCSStore", "az": "AzureStore"}
_OPTIONS = ("endpoint", "region")


class InvalidLocation(Invalid):
    """A location of blobs that cannot be read."""


def open_blobs(location: str, *, clock: Clock = now) -> Blobs:
    """The store at `location`: a path, `file:///path`, `s3://bucket/prefix?endpoint=URL&region=NAME`, `gs://bucket/prefix` or `az://container/prefix`.

    Credentials come from the environment or the machine's role, as the provider's own tools read them (AWS_ACCESS_KEY_ID, ...).
    Makes a local folder that is not there; speaks to no network. Raises InvalidLocation, MissingExtra, and what LocalBlobs raises.
    """
    parts = urlsplit(location)
    if not location.strip():
        raise InvalidLocation("the location of the blobs is empty: give a folder, or s3://bucket/prefix")
    if "://" not in location:
        return LocalBlobs(Path(location).expanduser(), clock=clock)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path:
            raise InvalidLocation(f"location {location!r}: write file:///absolute/path, with three slashes")
        return LocalBlobs(Path(unquote(parts.path)), clock=clock)
    if parts.scheme not in _STORES:
        raise InvalidLocation(f"location scheme {parts.scheme!r} is not known: use a path, file, {', '.join(_STORES)}")
    if "@" in parts.netloc:
        raise InvalidLocation(
            "the location of the blobs holds credentials: take them out and set them in the environment (AWS_ACCESS_KEY_ID, ...)"
        )
    if not parts.netloc:
        raise InvalidLocation(f"location {location!r} names no bucket: write {parts.scheme}://bucket/prefix")
    return ObjectBlobs(_store(parts.scheme, parts.netloc, _options(parts.query)), unquote(parts.path))


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in _OPTIONS:
            near = get_close_matches(name, _OPTIONS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_OPTIONS)}"
            raise InvalidLocation(f"option {name!r} of the location of the blobs is not known: {hint}")
    return options


def _store(scheme: str, bucket: str, options: dict[str, str]) -> Any:
    client = {
        # A limit on the whole request would cut large blobs on slow lines; a line that stays silent is cut instead.
        "timeout": timedelta(hours=12),
        "read_timeout": timedelta(seconds=60),
        "connect_timeout": timedelta(seconds=10),
        "allow_http": options.get("endpoint", "").startswith("http://"),
    }
    retry = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}
    return getattr(import_obstore().store, _STORES[scheme])(bucket, client_options=client, retry_config=retry, **options)
