"""evaluations, gates and approvals"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tilth.backends.sql import Document, Str

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _evaluations()
    _gates()
    _approvals()


def _evaluations() -> None:
    op.create_table(
        "evaluation",
        sa.Column("id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("logged_model_id", Str(), nullable=True),
        sa.Column("model_id", Str(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("name", Str(), nullable=False),
        sa.Column("dataset", Str(), nullable=False),
        sa.Column("dataset_digest", Str(), nullable=False),
        sa.Column("rows_digest", Str(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("task", Str(), nullable=False),
        sa.Column("body", Document(), nullable=False),
        sa.Column("run_id", Str(), nullable=True),
        sa.Column("scores_digest", Str(), nullable=True),
        sa.Column("scores_size", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("creator_id", Str(), nullable=False),
        sa.Column("creator_name", Str(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["registered_model.id"], name=op.f("fk_evaluation_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluation")),
    )
    op.create_index("ix_evaluation_version", "evaluation", ["project_id", "model_id", "version", "id"], unique=False)
    op.create_index("ix_evaluation_logged_model", "evaluation", ["project_id", "logged_model_id", "id"], unique=False)


def _gates() -> None:
    op.create_table(
        "gate",
        sa.Column("id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("expression", Str(), nullable=False),
        sa.Column("evaluation", Str(), nullable=False),
        sa.Column("aliases", Document(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("creator_id", Str(), nullable=False),
        sa.Column("creator_name", Str(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["model_id"], ["registered_model.id"], name=op.f("fk_gate_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate")),
    )
    op.create_index("ux_gate_number", "gate", ["model_id", "number"], unique=True)
    op.create_table(
        "gate_check",
        sa.Column("id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("alias", Str(), nullable=False),
        sa.Column("cause", Str(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("override_reason", Str(), nullable=False),
        sa.Column("verdicts", Document(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", Str(), nullable=False),
        sa.Column("actor_name", Str(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["registered_model.id"], name=op.f("fk_gate_check_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate_check")),
    )
    op.create_index("ix_gate_check_version", "gate_check", ["project_id", "model_id", "version", "id"], unique=False)


def _approvals() -> None:
    op.create_table(
        "approval",
        sa.Column("id", Str(), nullable=False),
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", Str(), nullable=False),
        sa.Column("comment", Str(), nullable=False),
        sa.Column("requested", sa.BigInteger(), nullable=False),
        sa.Column("requester_id", Str(), nullable=False),
        sa.Column("requester_name", Str(), nullable=False),
        sa.Column("decision_comment", Str(), nullable=False),
        sa.Column("decided", sa.BigInteger(), nullable=True),
        sa.Column("decider_id", Str(), nullable=True),
        sa.Column("decider_name", Str(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["registered_model.id"], name=op.f("fk_approval_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
    )
    op.create_index("ix_approval_version", "approval", ["project_id", "model_id", "version", "id"], unique=False)
    op.create_table(
        "model_policy",
        sa.Column("project_id", Str(), nullable=False),
        sa.Column("model_id", Str(), nullable=False),
        sa.Column("free_aliases", Document(), nullable=False),
        sa.Column("approval_for", Document(), nullable=False),
        sa.Column("separate_duties", sa.Boolean(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "model_id", name=op.f("pk_model_policy")),
    )
