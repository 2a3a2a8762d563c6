"""Sessions of browsers, the one-time links that lead to one, and passwords. Nothing here hashes a password: see `sign_in`."""

from __future__ import annotations

import secrets

from tilth.backends.sql import Tx
from tilth.core.actors import Actor
from tilth.core.clock import Millis, now
from tilth.core.ids import new_id
from tilth.domains.audit import actions as audit
from tilth.domains.identity import queries
from tilth.domains.identity.queries import writes
from tilth.domains.identity.rules import (
    LOGIN_LINK_LIFE,
    SESSION_LIFE,
    SET_UP_LINK_LIFE,
    check_person,
    check_sign_in,
    secret_digest,
)
from tilth.domains.identity.types import (
    TOPIC,
    LinkUsed,
    NoSuchSession,
    StartedSession,
    StoredPassword,
    Visitor,
    WrongPassword,
)
from tilth.guard import Principal

MAX_BROWSER_CHARS = 200


def create_login_link(tx: Tx, giver: Principal) -> tuple[str, Millis]:
    """(secret, expiry) of a link that signs its user in once. Raises BeyondOwnRights."""
    check_sign_in(giver)
    actor = giver.actor
    secret, expires = secrets.token_urlsafe(32), Millis(now() + LOGIN_LINK_LIFE)
    _add_link(tx, secret, actor.id, expires, "sign_in")
    audit.record(tx, actor, "login_link.created", project_id=None, thing=actor.name, detail={"expires": expires})
    return secret, expires


def sign_in_by_link(tx: Tx, secret: str, visitor: Visitor) -> StartedSession:
    """Raises LinkUsed."""
    sha256, moment = secret_digest(secret), now()
    principal_id = queries.principal_of_link(tx, sha256, "sign_in", moment)
    if principal_id is None or not writes.use_login_link(tx, sha256, "sign_in", moment):
        raise LinkUsed("this link was used already or is older than 5 minutes: `tilth open` makes a new one")
    known = _known(tx, principal_id)
    started = _start(tx, known, visitor)
    actor = _visitor(known, "login_link", visitor)
    audit.record(tx, actor, "session.created", project_id=None, thing=started.id, detail={})
    return started


def create_setup_link(tx: Tx, actor: Actor, name: str) -> tuple[str, Millis]:
    """(secret, expiry) of a link with which a person chooses a password; older unused ones end. Raises NoSuchPrincipal, NotAPerson.

    A password that the person has stays good until the link is used: making a link locks nobody out.
    """
    principal = queries.principal_named(tx, name)
    check_person(name, principal.kind)
    writes.drop_links_of(tx, principal.id)
    secret, expires = secrets.token_urlsafe(32), Millis(now() + SET_UP_LINK_LIFE)
    _add_link(tx, secret, principal.id, expires, "set_up")
    audit.record(tx, actor, "setup_link.created", project_id=None, thing=name, detail={"expires": expires})
    return secret, expires


def name_of_setup_link(tx: Tx, secret: str) -> str:
    """Whose password it sets. Raises LinkUsed."""
    principal_id = queries.principal_of_link(tx, secret_digest(secret), "set_up", now())
    if principal_id is None:
        raise LinkUsed(
            "this link was used already, was replaced, or is older than a day: an admin makes a new one by `tilth user reset NAME`"
        )
    return _known(tx, principal_id).name


def set_up_password(tx: Tx, secret: str, password_hash: str, visitor: Visitor) -> StartedSession:
    """Uses the link up, ends the sessions that were open and starts one. Raises LinkUsed."""
    name, sha256 = name_of_setup_link(tx, secret), secret_digest(secret)
    known = queries.password_of(tx, name)
    if known is None or not known.active or not writes.use_login_link(tx, sha256, "set_up", now()):
        raise LinkUsed("this link was used a moment ago, or the account is deactivated: ask an admin")
    writes.change_principal(tx, known.principal_id, {"password_hash": password_hash})
    writes.drop_sessions_of(tx, known.principal_id)
    tx.announce(TOPIC)
    started = _start(tx, known, visitor)
    actor = _visitor(known, "setup_link", visitor)
    audit.record(tx, actor, "password.set_up", project_id=None, thing=name, detail={"session": started.id})
    return started


def sign_in_by_password(tx: Tx, checked: StoredPassword, visitor: Visitor, new_hash: str | None) -> StartedSession:
    """checked: whose password was found right a moment ago. new_hash: the same one with today's costs. Raises WrongPassword."""
    known = queries.password_by_id(tx, checked.principal_id)
    if known is None or not known.active or known.hash != checked.hash:
        raise WrongPassword
    if new_hash is not None:
        writes.change_principal(tx, known.principal_id, {"password_hash": new_hash})
    started = _start(tx, known, visitor)
    actor = _visitor(known, "password", visitor)
    audit.record(tx, actor, "login.succeeded", project_id=None, thing=known.name, detail={"session": started.id})
    return started


def note_failed_login(tx: Tx, name: str, visitor: Visitor) -> None:
    """name: of a known principal, or empty: what people type into the wrong field may be their password."""
    actor = Actor(id="anonymous", name="anonymous", kind="system", via="password", address=visitor.address)
    audit.record_failure(tx, actor, "login.failed", name or "unknown name")


def change_password(tx: Tx, caller: Principal, checked: StoredPassword, password_hash: str) -> None:
    """The caller's own. Ends the other sessions and unused links; tokens are left alone. Raises BeyondOwnRights, WrongPassword."""
    check_sign_in(caller)
    known = queries.password_by_id(tx, caller.actor.id)
    if known is None or known.hash != checked.hash:
        raise WrongPassword
    kind, _, id_ = caller.actor.via.partition(":")
    writes.change_principal(tx, known.principal_id, {"password_hash": password_hash})
    writes.drop_sessions_of(tx, known.principal_id, keep=id_ if kind == "session" else "")
    writes.drop_links_of(tx, known.principal_id)
    tx.announce(TOPIC)
    audit.record(tx, caller.actor, "password.changed", project_id=None, thing=known.name, detail={})


def sign_out(tx: Tx, principal: Principal) -> None:
    """Ends the session that the request came with; a token is left alone."""
    kind, _, id_ = principal.actor.via.partition(":")
    if kind == "session" and writes.drop_session(tx, id_):
        audit.record(tx, principal.actor, "session.ended", project_id=None, thing=id_, detail={})


def end_session(tx: Tx, caller: Principal, session_id: str) -> None:
    """One of the caller's own. Raises NoSuchSession."""
    own = {session.id for session in queries.sessions_of(tx, caller.actor.id, now())}
    if session_id not in own or caller.bound_to is not None:
        raise NoSuchSession(f"no session {session_id[:40]!r} of yours; `tilth session list` and the page Account show them")
    writes.drop_session(tx, session_id)
    tx.announce(TOPIC)
    audit.record(tx, caller.actor, "session.ended", project_id=None, thing=session_id, detail={})


def end_sessions(tx: Tx, caller: Principal) -> int:
    """All of the caller's own, also the one that asks. Returns how many there were."""
    if caller.bound_to is not None:
        return 0
    ended = writes.drop_sessions_of(tx, caller.actor.id)
    tx.announce(TOPIC)
    if ended:
        audit.record(tx, caller.actor, "sessions.ended", project_id=None, thing=caller.actor.name, detail={"sessions": ended})
    return ended


def _start(tx: Tx, known: StoredPassword, visitor: Visitor) -> StartedSession:
    """A session with a secret of its own; the one that the browser came with ends, whoever planted it."""
    if visitor.old_secret is not None:
        writes.drop_session_by_secret(tx, secret_digest(visitor.old_secret))
    moment = now()
    started = StartedSession(new_id(), known.name, secrets.token_urlsafe(32), Millis(moment + SESSION_LIFE))
    row = {"id": started.id, "sha256": secret_digest(started.secret), "principal_id": known.principal_id, "created": moment}
    seen = {
        "expires": started.expires,
        "address": visitor.address,
        "browser": visitor.browser[:MAX_BROWSER_CHARS],
        "last_used": moment,
    }
    writes.add_session(tx, {**row, **seen})
    return started


def _known(tx: Tx, principal_id: str) -> StoredPassword:
    known = queries.password_by_id(tx, principal_id)
    if known is None or not known.active:
        raise LinkUsed("this account is deactivated: ask an admin of the organisation")
    return known


def _visitor(known: StoredPassword, via: str, visitor: Visitor) -> Actor:
    return Actor(id=known.principal_id, name=known.name, kind="user", via=via, address=visitor.address)


def _add_link(tx: Tx, secret: str, principal_id: str, expires: Millis, purpose: str) -> None:
    row = {"sha256": secret_digest(secret), "principal_id": principal_id, "expires": expires, "used": None, "purpose": purpose}
    writes.add_login_link(tx, row)
