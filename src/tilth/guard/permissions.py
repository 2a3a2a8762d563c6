"""Who may do what: ONE table from permission to the least role and the token scope that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Literal

Scope = Literal["read", "write", "predict", "manage", "plane"]
SCOPES: frozenset[Scope] = frozenset(("read", "write", "predict", "manage"))
"""What a person may ask for; `plane` is given by Tilth itself to its model servers."""


class Role(IntEnum):
    """Role in one project; a higher one may do all that a lower one may."""

    VIEWER = 1
    DEVELOPER = 2
    MAINTAINER = 3
    OWNER = 4

    @property
    def word(self) -> str:
        return self.name.lower()


class OrgRole(IntEnum):
    """Role in the organisation. None of them gives access to the data of a project."""

    MEMBER = 1
    AUDITOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        return self.name.lower()


class Permission(StrEnum):
    """Every route names one."""

    PUBLIC = "public"
    SIGNED_IN = "signed_in"

    PROJECT_READ = "project.read"
    PROJECT_CREATE = "project.create"
    PROJECT_UPDATE = "project.update"
    PROJECT_DELETE = "project.delete"
    MEMBER_READ = "member.read"
    MEMBER_MANAGE = "member.manage"
    TOKEN_READ = "token.read"
    TOKEN_CREATE = "token.create"
    TOKEN_REVOKE = "token.revoke"
    USER_READ = "user.read"
    USER_MANAGE = "user.manage"
    LOGIN_LINK = "login_link.create"
    SESSION_READ = "session.read"
    SESSION_END = "session.end"
    PASSWORD_CHANGE = "password.change"
    COMMENT_WRITE = "comment.write"

    AUDIT_READ = "audit.read"
    AUDIT_READ_ALL = "audit.read_all"
    SYSTEM_READ = "system.read"
    SYSTEM_MANAGE = "system.manage"

    RUN_READ = "run.read"
    RUN_WRITE = "run.write"
    RUN_DELETE = "run.delete"
    RUN_IMPORT = "run.import"
    RETENTION_MANAGE = "retention.manage"

    MODEL_READ = "model.read"
    MODEL_WRITE = "model.write"
    MODEL_DELETE = "model.delete"
    MODEL_TRUST = "model.trust"
    ALIAS_SET = "alias.set"
    GATE_ADD = "gate.add"
    GATE_RELAX = "gate.relax"
    APPROVAL_DECIDE = "approval.decide"

    DEPLOYMENT_READ = "deployment.read"
    DEPLOYMENT_CHANGE = "deployment.change"
    PREDICT = "deployment.predict"
    PREDICTION_READ = "prediction.read"
    LABEL_WRITE = "label.write"

    WEBHOOK_READ = "webhook.read"
    WEBHOOK_MANAGE = "webhook.manage"

    PLANE_FETCH = "plane.fetch"
    PLANE_SHIP = "plane.ship"


@dataclass(frozen=True, slots=True)
class Needs:
    """What a permission asks for. role: least role in the route's project; org_role: least role in the organisation.

    Neither: any signed-in principal. scope None: the route is open to everybody, with or without credentials.
    """

    scope: Scope | None
    role: Role | None = None
    org_role: OrgRole | None = None


NEEDS: dict[Permission, Needs] = {
    Permission.PUBLIC: Needs(scope=None),
    Permission.SIGNED_IN: Needs("read"),
    Permission.PROJECT_READ: Needs("read", Role.VIEWER),
    Permission.PROJECT_CREATE: Needs("manage", org_role=OrgRole.MEMBER),
    Permission.PROJECT_UPDATE: Needs("manage", Role.MAINTAINER),
    Permission.PROJECT_DELETE: Needs("manage", Role.OWNER),
    Permission.MEMBER_READ: Needs("read", Role.VIEWER),
    Permission.MEMBER_MANAGE: Needs("manage", Role.OWNER),
    Permission.TOKEN_READ: Needs("read"),
    Permission.TOKEN_CREATE: Needs("manage"),
    Permission.TOKEN_REVOKE: Needs("manage"),
    Permission.USER_READ: Needs("read", org_role=OrgRole.AUDITOR),
    Permission.USER_MANAGE: Needs("manage", org_role=OrgRole.ADMIN),
    Permission.LOGIN_LINK: Needs("manage"),
    Permission.SESSION_READ: Needs("read"),
    Permission.SESSION_END: Needs("manage"),
    Permission.PASSWORD_CHANGE: Needs("manage"),
    Permission.COMMENT_WRITE: Needs("write", Role.VIEWER),
    Permission.AUDIT_READ: Needs("read", Role.MAINTAINER),
    Permission.AUDIT_READ_ALL: Needs("read", org_role=OrgRole.AUDITOR),
    Permission.SYSTEM_READ: Needs("read", org_role=OrgRole.AUDITOR),
    Permission.SYSTEM_MANAGE: Needs("manage", org_role=OrgRole.ADMIN),
    Permission.RUN_READ: Needs("read", Role.VIEWER),
    Permission.RUN_WRITE: Needs("write", Role.DEVELOPER),
    Permission.RUN_DELETE: Needs("write", Role.DEVELOPER),
    Permission.RUN_IMPORT: Needs("write", Role.MAINTAINER),
    Permission.RETENTION_MANAGE: Needs("write", Role.MAINTAINER),
    Permission.MODEL_READ: Needs("read", Role.VIEWER),
    Permission.MODEL_WRITE: Needs("write", Role.DEVELOPER),
    Permission.MODEL_DELETE: Needs("write", Role.MAINTAINER),
    # Its code runs from then on, though in a process of its own.
    Permission.MODEL_TRUST: Needs("write", Role.MAINTAINER),
    Permission.ALIAS_SET: Needs("write", Role.MAINTAINER),
    Permission.GATE_ADD: Needs("write", Role.MAINTAINER),
    Permission.GATE_RELAX: Needs("write", Role.OWNER),
    Permission.APPROVAL_DECIDE: Needs("write", Role.MAINTAINER),
    Permission.DEPLOYMENT_READ: Needs("read", Role.VIEWER),
    Permission.DEPLOYMENT_CHANGE: Needs("write", Role.MAINTAINER),
    Permission.PREDICT: Needs("predict", Role.VIEWER),
    # Inputs are what people sent: not for everybody who may look at charts.
    Permission.PREDICTION_READ: Needs("read", Role.DEVELOPER),
    Permission.LABEL_WRITE: Needs("write", Role.DEVELOPER),
    Permission.WEBHOOK_READ: Needs("read", Role.MAINTAINER),
    Permission.WEBHOOK_MANAGE: Needs("manage", Role.MAINTAINER),
    Permission.PLANE_FETCH: Needs("plane"),
    Permission.PLANE_SHIP: Needs("plane"),
}

OF_RUNS = frozenset(
    {
        Permission.PUBLIC,
        Permission.SIGNED_IN,
        Permission.PROJECT_READ,
        Permission.MEMBER_READ,
        Permission.COMMENT_WRITE,
        Permission.RUN_READ,
        Permission.RUN_WRITE,
        Permission.MODEL_READ,
        Permission.MODEL_WRITE,
        Permission.ALIAS_SET,
        Permission.DEPLOYMENT_READ,
        Permission.PREDICT,
        Permission.PREDICTION_READ,
    }
)
"""What the token of a run may do at most: it goes to a program, and is printed in its logs sooner or later."""
