"""A plain `pip install tilth` stays small."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement

MOST_PACKAGES = 60


def packages_of(name: str, known: set[str]) -> set[str]:
    """The package and everything that it needs here, without extras."""
    plain = name.lower().replace("_", "-")
    if plain not in known:
        known.add(plain)
        for text in metadata.requires(name) or ():
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                packages_of(wanted.name, known)
    return known


def test_a_plain_install_is_at_most_60_packages() -> None:
    needed = packages_of("tilth", set())
    assert len(needed) <= MOST_PACKAGES, sorted(needed)
    assert not {"pandas", "scikit-learn", "mlflow", "psycopg", "obstore", "pydantic"} & needed
