"""Every declared table of every domain, for migrations and for the comparison of the schema with them."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil

from sqlalchemy import MetaData

import tilth.domains
from tilth.backends.sql import metadata


def declared_tables() -> MetaData:
    """The MetaData, after importing the `tables` module of each domain that has one."""
    for domain in pkgutil.iter_modules(tilth.domains.__path__, f"{tilth.domains.__name__}."):
        name = f"{domain.name}.tables"
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
    return metadata
