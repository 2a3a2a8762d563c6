"""Changes of logged models, registered models, versions and aliases."""

from tilth.domains.models.actions.aliases import (
    AliasMovedMeanwhile,
    hold_version,
    release_versions,
    remove_alias,
    set_alias,
)
from tilth.domains.models.actions.logged import (
    TooManyFiles,
    add_file,
    create_logged_model,
    delete_logged_model,
    give_up,
    seal,
    tag_logged_model,
)
from tilth.domains.models.actions.registry import (
    change_model,
    change_version,
    create_model,
    delete_model,
    delete_version,
    fill_card,
    restore_model,
    restore_version,
)
from tilth.domains.models.actions.versions import add_version, move_to_stage, register_version

__all__ = [
    "AliasMovedMeanwhile",
    "TooManyFiles",
    "add_file",
    "add_version",
    "change_model",
    "change_version",
    "create_logged_model",
    "create_model",
    "delete_logged_model",
    "delete_model",
    "delete_version",
    "fill_card",
    "give_up",
    "hold_version",
    "move_to_stage",
    "register_version",
    "release_versions",
    "remove_alias",
    "restore_model",
    "restore_version",
    "seal",
    "set_alias",
    "tag_logged_model",
]
