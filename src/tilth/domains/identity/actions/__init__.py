"""Changes of projects, members, principals and credentials."""

from tilth.domains.identity.actions.credentials import (
    create_login_link,
    create_token,
    ensure_local_owner,
    ensure_service,
    renew_system_token,
    revoke_token,
    sign_in_by_link,
    sign_out,
)
from tilth.domains.identity.actions.projects import (
    create_principal,
    create_project,
    remove_member,
    set_member,
    update_principal,
    update_project,
)

__all__ = [
    "create_login_link",
    "create_principal",
    "create_project",
    "create_token",
    "ensure_local_owner",
    "ensure_service",
    "remove_member",
    "renew_system_token",
    "revoke_token",
    "set_member",
    "sign_in_by_link",
    "sign_out",
    "update_principal",
    "update_project",
]
