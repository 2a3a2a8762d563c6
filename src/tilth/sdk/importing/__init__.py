"""Models that were made elsewhere: told apart, looked at without loading them, asked once, registered."""

from tilth.sdk.importing.bringing import ImportedModel, import_model
from tilth.sdk.importing.types import NotImportable

__all__ = ["ImportedModel", "NotImportable", "import_model"]
