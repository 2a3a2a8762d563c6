"""Principals, projects, memberships and the credentials that prove who somebody is."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table

from tilth.backends.sql import Str, metadata

principal = Table(
    "principal",
    metadata,
    Column("id", Str, primary_key=True),
    Column("name", Str, nullable=False, unique=True),
    Column("kind", Str, nullable=False),
    Column("org_role", Integer, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
    # argon2id of a password; NULL: this principal signs in by token or link only.
    Column("password_hash", Str, nullable=True),
    # Of any credential; written every few seconds.
    Column("last_seen", BigInteger, nullable=True),
)

project = Table(
    "project",
    metadata,
    Column("id", Str, primary_key=True),
    Column("name", Str, nullable=False, unique=True),
    Column("description", Str, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("created_by", Str, ForeignKey("principal.id"), nullable=False),
    Column("archived", BigInteger, nullable=True),
)

membership = Table(
    "membership",
    metadata,
    Column("project_id", Str, ForeignKey("project.id"), primary_key=True),
    Column("principal_id", Str, ForeignKey("principal.id"), primary_key=True),
    Column("role", Integer, nullable=False),
    Index("ix_membership_principal_id", "principal_id"),
)

token = Table(
    "token",
    metadata,
    Column("id", Str, primary_key=True),
    Column("sha256", Str, nullable=False, unique=True),
    Column("prefix", Str, nullable=False),
    Column("name", Str, nullable=False),
    Column("principal_id", Str, ForeignKey("principal.id"), nullable=False),
    Column("project_id", Str, ForeignKey("project.id"), nullable=True),
    # Space-separated, sorted.
    Column("scopes", Str, nullable=False),
    Column("kind", Str, nullable=False),
    Column("run_id", Str, nullable=True),
    Column("created", BigInteger, nullable=False),
    Column("created_by", Str, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("last_used", BigInteger, nullable=True),
    Column("revoked", BigInteger, nullable=True),
    Index("ix_token_principal_id", "principal_id"),
)

session = Table(
    "session",
    metadata,
    Column("id", Str, primary_key=True),
    Column("sha256", Str, nullable=False, unique=True),
    Column("principal_id", Str, ForeignKey("principal.id"), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("address", Str, nullable=False),
    Column("last_used", BigInteger, nullable=True),
    # What the browser calls itself, for people to tell their sessions apart.
    Column("browser", Str, nullable=False, server_default=""),
    Index("ix_session_principal_id", "principal_id"),
)

login_link = Table(
    "login_link",
    metadata,
    Column("sha256", Str, primary_key=True),
    Column("principal_id", Str, ForeignKey("principal.id"), nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=True),
    # sign_in: starts a session; set_up: lets a person choose a password.
    Column("purpose", Str, nullable=False, server_default="sign_in"),
)
