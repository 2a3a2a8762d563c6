"""Content-addressed bytes: in a local folder or in an object store."""

from tilth.backends.blobs.location import InvalidLocation, open_blobs

__all__ = ["InvalidLocation", "open_blobs"]
