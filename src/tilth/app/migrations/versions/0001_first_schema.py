"""projects, runs, models, deployments and audit"""

from __future__ import annotations

from alembic import op

from tilth.app.migrations.first_schema import models, people, serving, shared, tracking

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (*shared.TABLES, *people.TABLES, *tracking.TABLES, *models.TABLES, *serving.TABLES)


def upgrade() -> None:
    for create in TABLES:
        create()
    make_audit_insert_only()


def make_audit_insert_only() -> None:
    """Nobody changes or deletes an audit event by mistake. On PostgreSQL a row is sealed once, after its commit."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_event_no_{verb.lower()} BEFORE {verb} ON audit_event "
                "BEGIN SELECT RAISE(ABORT, 'audit events are insert-only'); END"
            )
        return
    op.execute(
        """
        CREATE FUNCTION audit_event_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND OLD.hash IS NULL AND NEW.hash IS NOT NULL
               AND to_jsonb(NEW) - 'position' - 'previous' - 'hash' = to_jsonb(OLD) - 'position' - 'previous' - 'hash' THEN
                RETURN NEW;
            END IF;
            RAISE EXCEPTION 'audit events are insert-only';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER audit_event_insert_only BEFORE UPDATE OR DELETE ON audit_event "
        "FOR EACH ROW EXECUTE FUNCTION audit_event_insert_only()"
    )


def downgrade() -> None:
    for create in reversed(TABLES):
        op.drop_table(create.__name__)
