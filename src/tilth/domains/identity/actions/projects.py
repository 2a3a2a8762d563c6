"""Projects, their members, users and service accounts. Each change writes its audit row in the same transaction."""

from __future__ import annotations

from tilth.backends.sql import Tx, outbox
from tilth.core.actors import Actor
from tilth.core.clock import Millis, now
from tilth.core.ids import new_id
from tilth.core.names import check_slug
from tilth.domains.audit import actions as audit
from tilth.domains.identity import queries
from tilth.domains.identity.queries import writes
from tilth.domains.identity.rules import check_role_hand_on, org_role_named, role_named, without_owner
from tilth.domains.identity.types import (
    TOPIC,
    LastOwner,
    NoSuchPrincipal,
    NoSuchProject,
    PrincipalExists,
    PrincipalKind,
    PrincipalRecord,
    Project,
    ProjectCreated,
    ProjectExists,
    UnknownRole,
)
from tilth.guard import OrgRole, Principal, Role


def create_project(tx: Tx, actor: Actor, name: str, description: str = "") -> Project:
    """A new project, whose creator is its owner. Raises ProjectExists, InvalidName."""
    check_slug(name, "project")
    if queries.project_named(tx, name) is not None:
        raise ProjectExists(f"project {name!r} exists already: choose another name (archived projects keep theirs)")
    project = Project(id=new_id(), name=name, description=description, created=now(), archived=None)
    row = {"id": project.id, "name": name, "description": description, "created": project.created}
    writes.add_project(tx, {**row, "created_by": actor.id, "archived": None})
    writes.put_membership(tx, project.id, actor.id, int(Role.OWNER))
    audit.record(tx, actor, "project.created", project_id=project.id, thing=name, detail={"description": description})
    outbox.add(tx, ProjectCreated(project_id=project.id, project_name=name))
    return project


def update_project(tx: Tx, actor: Actor, name: str, *, description: str | None = None, archived: bool | None = None) -> Project:
    """Changes the description, or archives the project or takes it back. Nothing is deleted. Raises NoSuchProject."""
    project = queries.project_named(tx, name)
    if project is None:
        raise NoSuchProject(f"no project {name!r}; `tilth project list` shows yours")
    changes: dict[str, str | Millis | None] = {}
    if description is not None:
        changes["description"] = description
    if archived is not None:
        changes["archived"] = (project.archived or now()) if archived else None
    if changes:
        writes.change_project(tx, project.id, changes)
        audit.record(tx, actor, "project.updated", project_id=project.id, thing=name, detail=changes)
    updated = queries.project_named(tx, name)
    assert updated is not None
    return updated


def set_member(tx: Tx, giver: Principal, project_id: str, name: str, role_word: str) -> Role:
    """Gives the principal a role, or another one. Raises NoSuchPrincipal, UnknownRole, BeyondOwnRights, LastOwner."""
    role = role_named(role_word)
    check_role_hand_on(giver, project_id, role)
    principal = queries.principal_named(tx, name)
    roles = {member.principal_id: member.role for member in queries.members_of(tx, project_id)}
    if without_owner(roles, principal.id, role):
        raise LastOwner(f"{name!r} is the only owner of this project: make somebody else an owner first")
    writes.put_membership(tx, project_id, principal.id, int(role))
    tx.announce(TOPIC)
    before = roles.get(principal.id)
    detail = {"principal": name, "from": before.word if before else None, "to": role.word}
    audit.record(tx, giver.actor, "member.set", project_id=project_id, thing=name, detail=detail)
    return role


def remove_member(tx: Tx, actor: Actor, project_id: str, name: str) -> None:
    """Raises NoSuchPrincipal (also for one who is no member), LastOwner."""
    principal = queries.principal_named(tx, name)
    roles = {member.principal_id: member.role for member in queries.members_of(tx, project_id)}
    if principal.id not in roles:
        raise NoSuchPrincipal(f"{name!r} is no member of this project")
    if without_owner(roles, principal.id, None):
        raise LastOwner(f"{name!r} is the only owner of this project: make somebody else an owner first")
    writes.drop_membership(tx, project_id, principal.id)
    tx.announce(TOPIC)
    audit.record(tx, actor, "member.removed", project_id=project_id, thing=name, detail={"was": roles[principal.id].word})


def create_principal(
    tx: Tx, actor: Actor, name: str, *, kind: PrincipalKind = "user", org_role: OrgRole = OrgRole.MEMBER
) -> PrincipalRecord:
    """A user or a service account without any credential yet. Raises PrincipalExists, InvalidName, UnknownRole."""
    check_slug(name, "user")
    if kind not in ("user", "service"):
        raise UnknownRole(f"no kind of account {kind!r}: choose 'user' or 'service'")
    if queries.is_principal_name_taken(tx, name):
        raise PrincipalExists(f"{name!r} exists already: choose another name")
    principal = PrincipalRecord(id=new_id(), name=name, kind=kind, org_role=org_role, active=True, created=now())
    row = {
        "id": principal.id,
        "name": name,
        "kind": kind,
        "org_role": int(org_role),
        "active": True,
        "created": principal.created,
    }
    writes.add_principal(tx, {**row, "password_hash": None})
    audit.record(tx, actor, f"{kind}.created", project_id=None, thing=name, detail={"org_role": org_role.word})
    return principal


def update_principal(tx: Tx, actor: Actor, name: str, *, org_role: str | None, active: bool | None) -> PrincipalRecord:
    """Changes the organisation role, or (de)activates; a deactivated principal's credentials end within 5 s. Raises LastOwner."""
    principal = queries.principal_named(tx, name)
    changes: dict[str, int | bool] = {}
    if org_role is not None:
        changes["org_role"] = int(org_role_named(org_role))
    if active is not None:
        changes["active"] = active
    others = [
        p
        for p in queries.principals_across_projects(tx)
        if p.org_role is OrgRole.ADMIN and p.active and p.kind == "user" and p.id != principal.id
    ]
    loses_admin = changes.get("org_role", OrgRole.ADMIN) != OrgRole.ADMIN or changes.get("active") is False
    if principal.org_role is OrgRole.ADMIN and loses_admin and not others:
        raise LastOwner(f"{name!r} is the only admin of this organisation: make somebody else an admin first")
    if active is False:
        # Let in again, the account gets its tokens back; a browser left open somewhere does not come back to life.
        writes.drop_sessions_of(tx, principal.id)
        writes.drop_links_of(tx, principal.id)
    if changes:
        writes.change_principal(tx, principal.id, changes)
        tx.announce(TOPIC)
        audit.record(tx, actor, f"{principal.kind}.updated", project_id=None, thing=name, detail=changes)
    return queries.principal_named(tx, name)
