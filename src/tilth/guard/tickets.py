"""Tickets: credentials that Tilth itself signs, each good at one place for a short while, so that no token has to stand in an answer.

A ticket acts for the credential that asked for it: it ends with that one, and can do no more. Its holder may read what is in it.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from tilth.core.actors import Actor, ActorKind
from tilth.core.clock import Millis
from tilth.core.errors import Unauthenticated
from tilth.core.ids import ProjectId
from tilth.guard.permissions import NEEDS, OrgRole, Permission
from tilth.guard.principal import Principal, ProjectRef

TICKET_HEADER = "x-tilth-ticket"
TICKETS_FOR = "tilth_tickets_for"
"""Option of a route that takes tickets: the place they are good at, as a text with the names of the address, such as `part {number}`."""
SIGNER = "tilth_sealer"
MAX_TICKET_CHARACTERS = 2000


class TicketRefused(Unauthenticated):
    """A ticket is expired, was made for another place, or is not one of ours."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}: ask for a new one at the address that gave it")


class Signer(Protocol):
    """Signs texts with a key that only this installation has. context: what a signature is about; it is good for nothing else."""

    def sign(self, text: str, context: str) -> str: ...

    def has_signed(self, text: str, context: str, signature: str) -> bool: ...


class _Ticket(msgspec.Struct, array_like=True):
    """expires: ms since the epoch. The role is not in it: it is looked up when the ticket is used."""

    principal: str
    name: str
    kind: ActorKind
    via: str
    project_id: str
    project_name: str
    expires: int


def issue(signer: Signer, actor: Actor, project: ProjectRef, place: str, *, expires: Millis) -> str:
    """A ticket for one place of a project, in the name of the actor's credential. place: as `place_of` tells it."""
    ticket = _Ticket(actor.id, actor.name, actor.kind, actor.via, project.id, project.name, expires)
    text = urlsafe_b64encode(msgspec.json.encode(ticket)).decode()
    return f"{text}.{signer.sign(text, _context(place))}"


def holder_of(signer: Signer, ticket: str, place: str, permission: Permission, *, address: str, at: Millis) -> Principal:
    """Whom the ticket stands for: a principal of its project alone, with no more than the permission needs. Whether he still may is
    for `Gate.recheck` to say. Raises TicketRefused."""
    text, _, signature = ticket.partition(".")
    if len(ticket) > MAX_TICKET_CHARACTERS or not signer.has_signed(text, _context(place), signature):
        raise TicketRefused("this ticket is not good here: it was changed, or made for another address")
    found = msgspec.json.decode(urlsafe_b64decode(text), type=_Ticket)
    if found.expires <= at:
        raise TicketRefused("this ticket has expired")
    project, needs = ProjectRef(ProjectId(found.project_id), found.project_name), NEEDS[permission]
    return Principal(
        actor=Actor(found.principal, found.name, found.kind, found.via, address),
        org_role=OrgRole.MEMBER,
        roles={project.id: needs.role} if needs.role is not None else {},
        scopes=frozenset({needs.scope}) if needs.scope is not None else frozenset(),
        bound_to=project.id,
        default_project=project,
    )


def place_of(template: str, path_params: Mapping[str, Any]) -> str:
    """The place that an address names. template: the route's TICKETS_FOR."""
    return template.format(**path_params)


def _context(place: str) -> str:
    return f"ticket: {place}"
