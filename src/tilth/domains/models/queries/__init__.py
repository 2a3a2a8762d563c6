"""Questions about logged models, registered models, versions and aliases."""

from tilth.domains.models.queries.logged import (
    LoggedModel,
    file_across_projects,
    file_of,
    files_across_projects,
    files_of,
    logged_model_by_id,
    logged_model_view,
    logged_models_page,
)
from tilth.domains.models.queries.pages import (
    alias_moves,
    card,
    model_detail,
    model_view,
    models_page,
    version_detail,
    version_view,
)
from tilth.domains.models.queries.registry import (
    ModelVersion,
    RegisteredModel,
    aliases_of,
    model_by_id,
    model_by_name,
    model_names_across_projects,
    resolve,
    resolve_in,
    version_of,
)

__all__ = [
    "LoggedModel",
    "ModelVersion",
    "RegisteredModel",
    "alias_moves",
    "aliases_of",
    "card",
    "file_across_projects",
    "file_of",
    "files_across_projects",
    "files_of",
    "logged_model_by_id",
    "logged_model_view",
    "logged_models_page",
    "model_by_id",
    "model_by_name",
    "model_detail",
    "model_names_across_projects",
    "model_view",
    "models_page",
    "resolve",
    "resolve_in",
    "version_detail",
    "version_of",
    "version_view",
]
