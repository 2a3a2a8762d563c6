"""Changes of logged models, registered models, versions and aliases."""

from tilth.domains.models.actions.aliases import (
    AliasMovedMeanwhile,
    hold_versions,
    release_versions,
    remove_alias,
    set_alias,
)
from tilth.domains.models.actions.approvals import decide_approval, request_approval
from tilth.domains.models.actions.copies import copy_of_run
from tilth.domains.models.actions.evaluations import evaluate_logged_model, evaluate_version, keep_scores
from tilth.domains.models.actions.gates import add_gate, check_gates, remove_gate, set_policy
from tilth.domains.models.actions.logged import (
    TooManyFiles,
    add_file,
    add_params,
    changeable,
    create_logged_model,
    delete_logged_model,
    give_up,
    mark,
    remove_files,
    seal,
    tag_logged_model,
    untag_logged_model,
)
from tilth.domains.models.actions.provenance import record_provenance, trust_model
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
from tilth.domains.models.actions.versions import Origin, add_version, move_to_stage, register_version

__all__ = [
    "AliasMovedMeanwhile",
    "Origin",
    "TooManyFiles",
    "add_file",
    "add_gate",
    "add_params",
    "add_version",
    "change_model",
    "change_version",
    "changeable",
    "check_gates",
    "copy_of_run",
    "create_logged_model",
    "create_model",
    "decide_approval",
    "delete_logged_model",
    "delete_model",
    "delete_version",
    "evaluate_logged_model",
    "evaluate_version",
    "fill_card",
    "give_up",
    "hold_versions",
    "keep_scores",
    "mark",
    "move_to_stage",
    "record_provenance",
    "register_version",
    "release_versions",
    "remove_alias",
    "remove_files",
    "remove_gate",
    "request_approval",
    "restore_model",
    "restore_version",
    "seal",
    "set_alias",
    "set_policy",
    "tag_logged_model",
    "trust_model",
    "untag_logged_model",
]
