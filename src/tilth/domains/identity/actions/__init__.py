"""Changes of projects, members, principals and credentials."""

from tilth.domains.identity.actions.credentials import (
    create_token,
    ensure_local_owner,
    ensure_service,
    readable_owner,
    renew_system_token,
    revoke_token,
)
from tilth.domains.identity.actions.projects import (
    create_principal,
    create_project,
    remove_member,
    set_member,
    update_principal,
    update_project,
)
from tilth.domains.identity.actions.sessions import (
    change_password,
    create_login_link,
    create_setup_link,
    end_session,
    end_sessions,
    name_of_setup_link,
    set_up_password,
    sign_in_by_link,
    sign_out,
)
from tilth.domains.identity.actions.sign_in import Doorkeeper

__all__ = [
    "Doorkeeper",
    "change_password",
    "create_login_link",
    "create_principal",
    "create_project",
    "create_setup_link",
    "create_token",
    "end_session",
    "end_sessions",
    "ensure_local_owner",
    "ensure_service",
    "name_of_setup_link",
    "readable_owner",
    "remove_member",
    "renew_system_token",
    "revoke_token",
    "set_member",
    "set_up_password",
    "sign_in_by_link",
    "sign_out",
    "update_principal",
    "update_project",
]
